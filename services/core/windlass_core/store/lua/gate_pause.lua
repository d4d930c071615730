#!lua
-- Purpose: nothing more of these workflows and queues is started until they are resumed.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, gates }
-- Returns: msgpack: for each whether it went on till now
-- Invariants: what is running goes on; lanes park when matching comes upon them.
-- Cost:    O(1) per gate
--!include keys
local call = redis.call
local namespace, gates = unpack(cmsgpack.unpack(ARGV[1]))
local changed = {}
for place, gate in ipairs(gates) do changed[place] = call('SADD', K.paused(namespace), gate) == 1 end
return cmsgpack.pack(changed)
