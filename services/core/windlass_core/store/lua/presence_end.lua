#!lua flags=allow-oom
-- Purpose: processes have gone: their boxes go too.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { service, incarnation that leaves, or '' for those that fell silent }
-- Returns: msgpack: how many have gone
-- Invariants: a box lives as long as its process; nothing is put into a removed one.
-- Cost:    O(processes)
--!include keys
--!include time
local service, leaving = unpack(cmsgpack.unpack(ARGV[1]))
local gone = { leaving }
if leaving == '' then gone = call('ZRANGE', K.presence(service), '-inf', now, 'BYSCORE') end
for _, inc in ipairs(gone) do
  call('ZREM', K.presence(service), inc)
  call('HDEL', K.addresses(service), inc)
  call('HDEL', K.loads(service), inc)
  call('UNLINK', K.inbox(inc), K.outbox(inc))
end
return cmsgpack.pack(#gone)
