#!lua flags=allow-oom
-- Purpose: matches ready runs with free slots in all groups that may have a match.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { leases to give out, at most 200, Failure for a run whose worker is gone for good }
-- Returns: msgpack: { { attempts given out, more (bool), next timer's due time ms or 0, now ms }, traced }
-- Invariants: a group stays marked until it has been matched to the end.
-- Cost:    O(log n + log W) per attempt
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include gates
--!include permits
--!include demand
--!include slots
--!include telling
--!include finish
--!include failing
--!include describe
--!include traced
--!include choosing
--!include pausing
--!include rates
--!include passing
--!include handing
--!include match
--!include gone
local leases, gone = unpack(cmsgpack.unpack(ARGV[1]))
local given, more = 0, false
for _, group in ipairs(call('SRANDMEMBER', K.dirty(), 50)) do
  local count, unfinished = 0
  if is_gone(group) then
    unfinished = fail_page(group, gone)
  else
    count, unfinished = match(group, leases)
  end
  given = given + count
  woken[group] = nil
  if unfinished then more = true else call('SREM', K.dirty(), group) end
  if #leases == 0 then break end
end
flush_finished()
if call('EXISTS', K.dirty()) == 1 then more = true end
local head = call('ZRANGE', K.timers(), 0, 0, 'WITHSCORES')
return cmsgpack.pack({ { given, more, tonumber(head[2] or 0), now }, traced })
