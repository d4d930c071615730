#!lua flags=no-writes
-- Purpose: entries of a run's log or stream, from an offset on that counts the dropped ones too.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { 'log' or 'stream', namespace, run, offset, how many at the most }
-- Returns: msgpack: { offset of the first entry, entries }; false where the namespace has no such run
-- Invariants: changes nothing.
-- Cost:    O(entries)
--!include keys
--!include entries
local call = redis.call
local kind, namespace, run, offset, most = unpack(cmsgpack.unpack(ARGV[1]))
local of = ENTRIES[kind]
local flow, written = unpack(call('HMGET', K.run(run), 'f', of.written))
if not flow or string.match(flow, '^[^|]*') ~= namespace then return cmsgpack.pack(false) end
local dropped = tonumber(written or 0) - call('LLEN', of.key(run))
local first = math.max(offset, dropped)
return cmsgpack.pack({ first, call('LRANGE', of.key(run), first - dropped, first - dropped + most - 1) })
