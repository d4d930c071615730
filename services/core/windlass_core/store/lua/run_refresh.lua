#!lua flags=allow-oom
-- Purpose: attempts have asked for more time: the timers by which they must have ended move.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: list of { run, lease, execution timeout ms from now }
-- Returns: msgpack: how many timers have moved
-- Invariants: needs the exact lease of an attempt under way that has an execution timeout; all others are
--            passed over. The next attempt has the timeout of the run again.
-- Cost:    O(log n) per attempt
--!include keys
--!include time
--!include wake
local moved = 0
for _, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  local run, lease, timeout = unpack(item)
  local f = call('HMGET', K.run(run), 'ph', 'L', 'x')
  if f[2] == lease and f[3] and (f[1] == PHASE.LEASED or f[1] == PHASE.RUNNING) then
    set_timer('stop:' .. run .. ':' .. lease, now + timeout + LIMIT.STOP_GRACE)
    moved = moved + 1
  end
end
return cmsgpack.pack(moved)
