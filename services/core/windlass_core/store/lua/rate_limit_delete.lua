#!lua flags=allow-oom
-- Purpose: forgets a rate limit.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, name }
-- Returns: msgpack: whether there was one
-- Invariants: runs that need it wait until somebody puts it again.
-- Cost:    O(1)
--!include keys
local call = redis.call
local namespace, name = unpack(cmsgpack.unpack(ARGV[1]))
call('DEL', K.rate(namespace .. '|' .. name))
return cmsgpack.pack(call('SREM', K.rates(namespace), name) == 1)
