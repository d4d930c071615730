#!lua flags=allow-oom
-- Purpose: tells which crons are to be looked at.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { how many at the most, bytes of CronSpecs at the most }
-- Returns: msgpack: { now ms, epoch of the definitions, { { cron, namespace, revision, settled ms,
--            made up, CronSpec }, … }, more (bool) }
-- Invariants: changes nothing. At least one where any is due, however large.
-- Cost:    O(log n) per cron
--!include keys
--!include time
local most, room = unpack(cmsgpack.unpack(ARGV[1]))
local due = call('ZRANGE', K.crons_due(), '-inf', now, 'BYSCORE', 'LIMIT', 0, most)
local told = {}
for _, cron in ipairs(due) do
  local namespace, revision, settled, made_up, body = unpack(call('HMGET', K.cron(cron), 'ns', 'rv', 'a', 'mk', 'b'))
  room = room - #body
  if room < 0 and #told > 0 then break end
  told[#told + 1] = { cron, namespace, tonumber(revision), tonumber(settled), tonumber(made_up), body }
end
local more = #told < #due or #due == most
return cmsgpack.pack({ now, tonumber(call('GET', K.epoch()) or 0), told, more })
