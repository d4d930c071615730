-- Tells the scheduler that there may be something to match. Groups are remembered in a set, so that
-- a scheduler that dies after taking the wake-up loses nothing.
local function wake_scheduler()
  if call('LLEN', K.wake()) == 0 then call('RPUSH', K.wake(), '1') end
end

local function mark_dirty(group)
  if call('SADD', K.dirty(), group) == 1 then wake_scheduler() end
end

-- Sets a timer; wakes the scheduler where it is due before all others.
local function set_timer(member, due)
  call('ZADD', K.timers(), due, member)
  if call('ZRANGE', K.timers(), 0, 0)[1] == member then wake_scheduler() end
end
