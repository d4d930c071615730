#!lua
-- Purpose: makes a rate limit, or changes one.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, name, units per window, window ms }
-- Returns: msgpack: whether it is new
-- Invariants: what was used in the window that is open counts on; lanes that are parked there come back to
--            be looked at.
-- Cost:    O(log n)
--!include keys
--!include time
--!include wake
local namespace, name, limit, window = unpack(cmsgpack.unpack(ARGV[1]))
local key = namespace .. '|' .. name
call('HSET', K.rate(key), 'limit', limit, 'window', window)
if call('EXISTS', K.parked('r:' .. key)) == 1 then set_timer('open:r:' .. key, now) end
return cmsgpack.pack(call('SADD', K.rates(namespace), name) == 1)
