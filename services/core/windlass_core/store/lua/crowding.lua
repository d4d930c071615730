-- Crowding: what becomes of runs with the same key when another becomes ready for the first time and all
-- permits are taken. Needs `permits` and `cancelling`.
local CANCELS = 200

-- Keys that have become crowded: the oldest that hold a permit or wait are to be cancelled.
local crowded = {}

-- Why a run that becomes ready is not wanted, or nil.
local function refusal(gates)
  for _, gate in ipairs(gates) do
    if gate[4] == 'cn' and call('ZCARD', K.contenders(gate[2])) >= max_runs(gate[2]) then
      return 'as many runs with its concurrency key as may be were there before'
    end
  end
  return nil
end

-- A run becomes ready for the first time, and was not refused.
local function join_crowd(run, place, gates, since)
  contend(run, place, gates, since)
  for _, gate in ipairs(gates) do
    if gate[4] == 'cip' then crowded[gate[2]] = true end
  end
end

-- What a delay or a backoff has ended for, is it refused? That is decided at the first time only.
local function is_refused(run, phase, place, gates)
  if phase == PHASE.BACKOFF then
    contend(run, place, gates, now)
    return false
  end
  local reason = refusal(gates)
  if reason then
    cancel(run, reason)
  else
    join_crowd(run, place, gates, now)
  end
  return reason
end

-- Of keys with more runs than may be, the oldest are cancelled. A key with very many goes on by a timer.
local function thin_out()
  local left = CANCELS
  for key in pairs(crowded) do
    local over = call('ZCARD', K.contenders(key)) - max_runs(key)
    local oldest = over > 0 and call('ZPOPMIN', K.contenders(key), math.min(over, left)) or {}
    for i = 1, #oldest, 2 do cancel(oldest[i], 'a newer run with its concurrency key took its place') end
    left = left - #oldest / 2
    if over > #oldest / 2 then set_timer('crowd:' .. key, now) end
  end
  crowded = {}
end

-- Queues what was gathered, as push_gathered does, and makes room for it.
local function queue_gathered()
  local groups = push_gathered()
  thin_out()
  return groups
end
