-- Waiting for the end of a run that exists. An ended one is told at once, through the outbox too.
local function watch(run, inc)
  local r = call('HMGET', K.run(run), 'ph', 'o', 'cx', 'w', 'f')
  if PHASE.TERMINAL[r[1]] then
    gather_telling(inc, result_entry(run, r[1], r[2] or nil, r[3] or nil, r[5]))
  elseif not r[4] then
    call('HSET', K.run(run), 'w', inc)
  elseif r[4] ~= inc then
    call('SADD', K.waiters(run), inc)
    call('HSET', K.run(run), 'ww', 1)
  end
end
