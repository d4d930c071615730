#!lua flags=allow-oom
-- Purpose: attempts go on without their slots, which others may take.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: list of { run, lease }
-- Returns: msgpack: how many of them are under way, and take no slots from now on
-- Invariants: needs the exact lease of an attempt under way; all others are passed over, and saying it
--            twice changes nothing. The lease and its permits stay.
-- Cost:    O(slots) per attempt
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include demand
--!include slots
local counted = 0
for _, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  local run, lease = unpack(item)
  local phase, current, worker, flow = unpack(call('HMGET', K.run(run), 'ph', 'L', 'wk', 'f'))
  if current == lease and (phase == PHASE.LEASED or phase == PHASE.RUNNING) then
    gather_slots(worker, lease, flow)
    counted = counted + 1
  end
end
release_gathered()
mark_freed()
return cmsgpack.pack(counted)
