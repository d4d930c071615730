#!lua
-- Purpose: changes a cron that was made by call.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, cron, how often it had been changed, CronSpec, overlap,
--            expression and zone }
-- Returns: msgpack: 'changed', 'stale': somebody else was first; 'unknown' or 'declared'
-- Invariants: with other times it begins anew with the first tick after now; not allowed when memory is full.
-- Cost:    O(log n)
--!include keys
--!include time
--!include wake
--!include crons
local namespace, cron, revision, body, overlap, times = unpack(cmsgpack.unpack(ARGV[1]))

local function change()
  local owner, changes, declared = unpack(call('HMGET', K.cron(cron), 'ns', 'rv', 'dc'))
  if owner ~= namespace then return 'unknown' end
  if declared then return 'declared' end
  if tonumber(changes) ~= revision then return 'stale' end
  change_cron(cron, body, overlap, times)
  arm_crons()
  return 'changed'
end

return cmsgpack.pack(change())
