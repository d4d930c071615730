#!lua
-- Purpose: starts hooks of ended runs, each as one run.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: list of { run that has ended, replays, the hook's as run_submit takes it or nil: it has
--            none any more }
-- Returns: msgpack: for each whether it was started, in the order of the list
-- Invariants: one hook follows one end: none is started for a run that was replayed or deleted since, and the
--            id of a hook's run follows from the end. Not allowed when memory is full.
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
--!include grouping
--!include own
--!include telling
--!include finish
--!include cancelling
--!include crowding
--!include watch
--!include idempotency
--!include claiming
--!include accepting
--!include accepting_batch
--!include hooks
-- Runs to accept, by namespace.
local batches = {}

local function start(run, replays, hook)
  local flow, replayed = unpack(call('HMGET', K.run(run), 'f', 'rp'))
  if not flow or (tonumber(replayed) or 0) ~= replays then return false end
  if call('ZREM', K.hooks_due(), run) == 0 or not hook then return false end
  local namespace = namespace_of(flow)
  batches[namespace] = batches[namespace] or {}
  table.insert(batches[namespace], hook)
  call('HSET', K.run(run), 'hr', hook[1])
  return true
end

local started = {}
for place, entry in ipairs(cmsgpack.unpack(ARGV[1])) do started[place] = start(unpack(entry)) end
for namespace, runs in pairs(batches) do accept_runs(namespace, '', runs) end
for group in pairs(queue_gathered()) do mark_dirty(group) end
flush_finished()
settle_hooks()
return cmsgpack.pack(started)
