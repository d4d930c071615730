#!lua flags=allow-oom
-- Purpose: deletes runs that ended FAILED, before their time.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, runs }
-- Returns: msgpack: for each 'deleted', 'not_failed' or 'unknown'
-- Invariants: all that belongs to a run goes with it; no other run is changed.
-- Cost:    O(log n) per run, O(groups) per flow that goes
--!include keys
--!include time
--!include lanes
--!include queueing
--!include demand
--!include flows
--!include idempotency
--!include hooks
--!include removing
local namespace, runs = unpack(cmsgpack.unpack(ARGV[1]))
local outcomes = {}
for place, run in ipairs(runs) do
  local flow, phase, parent, key = unpack(call('HMGET', K.run(run), 'f', 'ph', 'pa', 'ik'))
  if not flow or namespace_of(flow) ~= namespace then
    outcomes[place] = 'unknown'
  elseif phase ~= PHASE.FAILED then
    outcomes[place] = 'not_failed'
  else
    remove(run, flow, parent, key)
    outcomes[place] = 'deleted'
  end
end
count_gathered()
settle_hooks()
return cmsgpack.pack(outcomes)
