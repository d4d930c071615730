-- Cancelling one run: at once where no worker has it, otherwise its worker is told.
-- Returns 'cancelled', 'requested' or 'ended'.
local function cancel(run, reason)
  local f = call('HMGET', K.run(run), 'ph', 'f', 'p', 'w', 'ww', 'xs', 'L', 'wk', 'cx', 'g')
  -- A child may have been deleted while its parent went on.
  if not f[1] or PHASE.TERMINAL[f[1]] then return 'ended' end
  if call('EXISTS', K.children(run)) == 1 then set_timer('kids:' .. run, now) end
  if f[1] == PHASE.LEASED or f[1] == PHASE.RUNNING then
    if not f[9] then call('HSET', K.run(run), 'cx', reason) end
    local session, dispatcher = unpack(call('HMGET', K.worker(f[8]), 'sid', 'disp'))
    if dispatcher and call('ZSCORE', K.presence('dispatcher'), dispatcher) then
      call('RPUSH', K.inbox(dispatcher), cmsgpack.pack({ 'cancel', f[8], session, { f[7] }, reason }))
    end
    return 'requested'
  end
  finish_waiting(run, { ph = f[1], f = f[2], p = f[3], w = f[4], ww = f[5], xs = f[6], g = f[10] }, reason)
  return 'cancelled'
end
