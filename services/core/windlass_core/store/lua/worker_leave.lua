#!lua flags=allow-oom
-- Purpose: workers' streams have ended, or they drain: they get no new work.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: list of { worker, session, 'gone' | 'draining' }
-- Returns: msgpack: how many of the sessions still counted
-- Invariants: what a worker holds stays its own until its session expires; one that has gone while
--            draining with nothing in hand is forgotten at once.
-- Cost:    O(log W) per worker
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include demand
--!include flows
--!include slots
--!include grouping
--!include own
--!include membership
local counted = 0
for _, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  local worker, session, how = unpack(item)
  local known = call('HMGET', K.worker(worker), 'sid', 'st')
  if known[1] == session then
    counted = counted + 1
    if how == 'gone' and known[2] == 'd' and call('EXISTS', K.attempts(worker)) == 0 then
      forget_worker(worker)
    else
      call('HSET', K.worker(worker), 'st', how == 'gone' and 'g' or 'd')
      show_free(worker)
    end
  end
end
mark_freed()
return cmsgpack.pack(counted)
