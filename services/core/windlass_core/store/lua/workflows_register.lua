#!lua
-- Purpose: makes definitions the current versions of their names.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, list of { name, version, definition } }
-- Returns: msgpack: the epoch of the definitions afterwards
-- Invariants: a version that is known is not written again; not allowed when memory is full.
-- Cost:    O(1) per definition
--!include keys
--!include time
local namespace, definitions = unpack(cmsgpack.unpack(ARGV[1]))
local changed = false
for _, item in ipairs(definitions) do
  local name, version, definition = unpack(item)
  if call('HGET', K.definitions(namespace), name) ~= version then
    changed = true
    call('HSET', K.definitions(namespace), name, version)
    call('HSETNX', K.versions(namespace), name .. '@' .. version, cmsgpack.pack({ now, definition }))
  end
end
if changed then
  call('SADD', K.namespaces(), namespace)
  return cmsgpack.pack(call('INCR', K.epoch()))
end
return cmsgpack.pack(tonumber(call('GET', K.epoch()) or 0))
