-- Once no hook is owed any more nobody has to look after them. While any is, the timer stays where it is.
local function settle_hooks()
  if call('EXISTS', K.hooks_due()) == 0 then call('ZREM', K.timers(), 'hooks:') end
end
