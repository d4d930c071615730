#!lua flags=allow-oom
-- Purpose: cancels runs; what hangs below them is left to a timer, in pages.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, reason, runs }
-- Returns: msgpack: for each 'cancelled', 'requested', 'ended' or 'unknown'
-- Invariants: an ended run is not changed.
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
  local flow = call('HGET', K.run(run), 'f')
  if flow and namespace_of(flow) == namespace then
    outcomes[place] = cancel(run, reason)
  else
    outcomes[place] = 'unknown'
  end
end
flush_finished()
return cmsgpack.pack(outcomes)
