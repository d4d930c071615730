#!lua
-- Purpose: keeps a cron that was made by call.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, { cron, workflow, name, CronSpec, overlap, expression and zone } }
-- Returns: msgpack: 'created', 'same': it is there as it would be; or 'taken': with another content
-- Invariants: one that is there is not changed; not allowed when memory is full.
-- Cost:    O(log n)
--!include keys
--!include time
--!include wake
--!include crons
local namespace, what = unpack(cmsgpack.unpack(ARGV[1]))
local known = call('HGET', K.cron(what[1]), 'b')
if known then return cmsgpack.pack(known == what[4] and 'same' or 'taken') end
add_cron(namespace, what)
arm_crons()
return cmsgpack.pack('created')
