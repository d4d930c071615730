#!lua
-- Purpose: makes definitions the current versions of their names; their crons are there from then on.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, list of { name, version, definition, crons as add_cron takes them } }
-- Returns: msgpack: the epoch of the definitions afterwards
-- Invariants: a version that is known is not written again, a cron that stays goes on; not allowed when
--          memory is full.
-- Cost:    O(1) per definition, O(log n) per cron of a new one
--!include keys
--!include time
--!include wake
--!include crons
local namespace, definitions = unpack(cmsgpack.unpack(ARGV[1]))
local changed = false

-- Crons of the version before that this one lacks go.
local function declare(workflow, crons)
  local kept = {}
  for _, what in ipairs(crons) do
    local cron, _, _, body, overlap, times = unpack(what)
    kept[cron] = true
    local known = call('HGET', K.cron(cron), 'b')
    if not known then
      add_cron(namespace, what, true)
    elseif known ~= body then
      change_cron(cron, body, overlap, times)
    end
  end
  for _, cron in ipairs(call('SMEMBERS', K.crons_declared(namespace, workflow))) do
    if not kept[cron] then drop_cron(cron) end
  end
end

for _, item in ipairs(definitions) do
  local name, version, definition, crons = unpack(item)
  if call('HGET', K.definitions(namespace), name) ~= version then
    changed = true
    call('HSET', K.definitions(namespace), name, version)
    call('HSETNX', K.versions(namespace), name .. '@' .. version, cmsgpack.pack({ now, definition }))
    declare(name, crons)
  end
end
if changed then
  arm_crons()
  call('SADD', K.namespaces(), namespace)
  return cmsgpack.pack(call('INCR', K.epoch()))
end
return cmsgpack.pack(tonumber(call('GET', K.epoch()) or 0))
