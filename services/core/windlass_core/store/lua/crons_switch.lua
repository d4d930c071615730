#!lua flags=allow-oom
-- Purpose: lets crons rest or go on, or deletes them.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, 'pause' | 'resume' | 'delete', crons }
-- Returns: msgpack: for each 'done', 'already', 'unknown' or 'declared'
-- Invariants: ticks of the time in which a cron rested are never fired; one that a definition declares is not
--          deleted.
-- Cost:    O(log n) per cron
--!include keys
--!include time
--!include wake
--!include crons
local namespace, how, crons = unpack(cmsgpack.unpack(ARGV[1]))
local switch = {}

function switch.pause(cron)
  if call('HSETNX', K.cron(cron), 'ps', 1) == 0 then return 'already' end
  call('ZREM', K.crons_due(), cron)
  return 'done'
end

function switch.resume(cron)
  if call('HDEL', K.cron(cron), 'ps') == 0 then return 'already' end
  begin_anew(cron)
  return 'done'
end

function switch.delete(cron)
  if call('HEXISTS', K.cron(cron), 'dc') == 1 then return 'declared' end
  drop_cron(cron)
  return 'done'
end

local outcomes = {}
for place, cron in ipairs(crons) do
  local is_mine = call('HGET', K.cron(cron), 'ns') == namespace
  outcomes[place] = is_mine and switch[how](cron) or 'unknown'
end
arm_crons()
return cmsgpack.pack(outcomes)
