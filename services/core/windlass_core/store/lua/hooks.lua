-- Ends that are owed no hook any more, gathered: they were taken back, or their runs are gone. Whoever gathers
-- ends with settle_hooks.
local forgone = {}

local function forgo_hook(run) forgone[#forgone + 1] = run end

-- Once no hook is owed any more nobody has to look after them. While any is, the timer stays where it is.
local function settle_hooks()
  for first = 1, #forgone, 1000 do
    call('ZREM', K.hooks_due(), unpack(forgone, first, math.min(first + 999, #forgone)))
  end
  if call('EXISTS', K.hooks_due()) == 0 then call('ZREM', K.timers(), 'hooks:') end
end
