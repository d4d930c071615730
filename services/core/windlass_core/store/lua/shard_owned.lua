#!lua flags=no-writes
-- Purpose: whether a scheduler owns the shard now.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: nothing
-- Returns: msgpack: bool
-- Invariants: changes nothing.
-- Cost:    O(1)
--!include keys
--!include time
local _ = ARGV[1]
local own = call('HMGET', K.owner(), 'scheduler', 'until')
return cmsgpack.pack(own[1] ~= false and (tonumber(own[2]) or 0) > now)
