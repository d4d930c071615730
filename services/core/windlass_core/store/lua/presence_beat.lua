#!lua flags=allow-oom
-- Purpose: a process says that it is alive.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { service, incarnation, address, ttl ms, load, or -1 where it is what it was }
-- Returns: msgpack: fresh (bool): it wasn't known to be alive, its boxes may have been removed
-- Invariants: none
-- Cost:    O(log processes)
--!include keys
--!include time
local service, inc, address, ttl, load = unpack(cmsgpack.unpack(ARGV[1]))
local known_until = tonumber(call('ZSCORE', K.presence(service), inc) or 0)
local fresh = known_until <= now
call('ZADD', K.presence(service), now + ttl, inc)
if fresh then call('HSET', K.addresses(service), inc, address) end
if load >= 0 then call('HSET', K.loads(service), inc, load) end
return cmsgpack.pack(fresh)
