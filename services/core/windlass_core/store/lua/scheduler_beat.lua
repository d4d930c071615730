#!lua flags=allow-oom
-- Purpose: a scheduler says that it is alive: it takes or keeps the shard where it may.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { scheduler, ownership ttl ms (0: give it up), longest gap between beats ms,
--            hold after a gap ms }
-- Returns: msgpack: { owner (bool), sessions to reap (bool), how long another one owns it yet, ms }
-- Invariants: after a gap in the beats or a step of the clock nothing is reaped for one hold.
-- Cost:    O(log n)
--!include keys
--!include time
local me, ttl, gap, hold = unpack(cmsgpack.unpack(ARGV[1]))
local own = call('HMGET', K.owner(), 'scheduler', 'until', 'beat', 'hold')
local mine = own[1] == me
if ttl == 0 then
  if mine then call('HDEL', K.owner(), 'scheduler', 'until') end
  return cmsgpack.pack({ false, false, 0 })
end
local left = (tonumber(own[2]) or 0) - now
-- More than a whole ttl is left only where the clock has stepped back.
if own[1] and not mine and left > 0 and left <= ttl then
  return cmsgpack.pack({ false, false, left })
end
local since = now - (tonumber(own[3]) or now)
local held_until = tonumber(own[4]) or 0
if since > gap or since < 0 or held_until > now + hold then held_until = now + hold end
call('HSET', K.owner(), 'scheduler', me, 'until', now + ttl, 'beat', now, 'hold', held_until)
local expired = now >= held_until and call('ZCOUNT', K.sessions(), '-inf', now) > 0
return cmsgpack.pack({ true, expired, 0 })
