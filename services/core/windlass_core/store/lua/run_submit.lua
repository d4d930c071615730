#!lua
-- Purpose: accepts runs; matches small batches with free workers at once, which saves a hop.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, api incarnation, leases (32 or fewer),
--            runs: { run, spec, flow, level, version, delay ms, expires ms, execution timeout ms,
--                    wait (bool), parent or '', traceparent or '', more or nil } }; more holds what
--                    few runs have, by name: g: gates, as domain/gates.py has them; at: start at this
--                    time, ms; i: its claim to an idempotency key, see claiming.lua
-- Returns: msgpack: { { epoch, { place → what accept_runs says } }, traced }, places from 1
-- Invariants: a run that exists is not changed, only waited for; one run at a time has a key; not
--            allowed when memory is full.
-- Cost:    O(log n) per run
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include gates
--!include permits
--!include demand
--!include flows
--!include slots
--!include telling
--!include finish
--!include describe
--!include traced
--!include choosing
--!include pausing
--!include rates
--!include passing
--!include handing
--!include match
--!include watch
--!include cancelling
--!include crowding
--!include idempotency
--!include claiming
--!include grouping
--!include own
--!include accepting
--!include accepting_batch
local namespace, inc, leases, runs = unpack(cmsgpack.unpack(ARGV[1]))
local outcomes, waiting = accept_runs(namespace, inc, runs)
match_now(queue_gathered(), waiting <= #leases and leases or {})
flush_finished()
-- A table with holes is a msgpack map, which is what the reader expects; an empty one is made so.
local told = {}
for place, verdict in pairs(outcomes) do told[tostring(place)] = verdict end
return cmsgpack.pack({ { tonumber(call('GET', K.epoch()) or 0), told }, traced })
