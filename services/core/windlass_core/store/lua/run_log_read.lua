#!lua flags=no-writes
-- Purpose: lines of a run's log, from an offset on that counts the dropped ones too.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, run, offset, how many at the most }
-- Returns: msgpack: { offset of the first line, lines }; false where the namespace has no such run
-- Invariants: changes nothing.
-- Cost:    O(lines)
--!include keys
local call = redis.call
local namespace, run, offset, most = unpack(cmsgpack.unpack(ARGV[1]))
local flow, written = unpack(call('HMGET', K.run(run), 'f', 'll'))
if not flow or string.match(flow, '^[^|]*') ~= namespace then return cmsgpack.pack(false) end
local dropped = tonumber(written or 0) - call('LLEN', K.log(run))
local first = math.max(offset, dropped)
return cmsgpack.pack({ first, call('LRANGE', K.log(run), first - dropped, first - dropped + most - 1) })
