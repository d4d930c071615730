#!lua flags=allow-oom
-- Purpose: cancels runs that are still to come.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, reason, runs }
-- Returns: msgpack: for each 'deleted', 'late': its time has come; or 'unknown': it was never scheduled
-- Invariants: a run whose time has come is not changed.
-- Cost:    O(log n) per run
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include gates
--!include permits
--!include telling
--!include finish
--!include cancelling
local namespace, reason, runs = unpack(cmsgpack.unpack(ARGV[1]))
local outcomes = {}
for place, run in ipairs(runs) do
  local flow, phase, at = unpack(call('HMGET', K.run(run), 'f', 'ph', 'at'))
  if not at or namespace_of(flow) ~= namespace then
    outcomes[place] = 'unknown'
  elseif phase ~= PHASE.SCHEDULED then
    outcomes[place] = 'late'
  else
    cancel(run, reason)
    outcomes[place] = 'deleted'
  end
end
flush_finished()
return cmsgpack.pack(outcomes)
