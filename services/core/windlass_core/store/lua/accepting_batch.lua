-- Accepting a batch of runs, of which some may be there. Needs `accepting`, `watch`, `idempotency` and `claiming`.

local function known_already(place, run, spec, flow, inc, wait)
  local known = call('HMGET', K.run(run), 'b', 'f')
  if known[1] == spec and known[2] == flow then
    verdicts[place] = 'duplicate'
    if wait then watch(run, inc) end
  else
    verdicts[place] = 'taken'
  end
end

-- runs: as run_submit takes them, of one namespace. Returns { place → 'duplicate' | 'taken' | 'no_worker' |
-- { 'existing' | 'conflict', the run that has its idempotency key } }, places from 1, and how many are
-- ready at once.
local function accept_runs(namespace, inc, runs)
  verdicts, times, ready = {}, {}, 0
  -- Nearly always all of them are new, which one call tells.
  local keys, all_new = {}, true
  for place, item in ipairs(runs) do keys[place] = K.run(item[1]) end
  if #keys > 0 then all_new = call('EXISTS', unpack(keys)) == 0 end
  local seen = {}
  for place, item in ipairs(runs) do
    local run, spec, flow, level, version, delay, expires, timeout, wait, parent, trace, more = unpack(item)
    local claim = more and more.i
    local has_parent, reason = look_at_parent(namespace, parent)
    local gates = more and more.g
    if seen[run] or not all_new and call('EXISTS', keys[place]) == 1 then
      known_already(place, run, spec, flow, inc, wait)
    elseif claim then
      verdicts[place] = contest(run, claim)
    end
    if not verdicts[place] and more and more.p and not bind(namespace, flow, more.p) then
      verdicts[place] = 'no_worker'
    end
    if not verdicts[place] then
      if gates then
        level = place_before(level, gates)
        -- What comes later is decided on then.
        if delay == 0 and (more.at or 0) <= now then reason = reason or refusal(gates) end
      end
      if reason then
        accept_cancelled(run, spec, flow, level, version, timeout, inc, wait, parent, trace, gates, more, reason)
      else
        accept(
          place, run, spec, flow, level, version, delay, expires, timeout, inc, wait, parent, trace, has_parent, gates,
          more
        )
      end
      if claim then take_key(run, claim[1], claim[2], claim[3]) end
    end
    seen[run] = true
  end
  for first = 1, #times, 1000 do
    call('ZADD', K.runs_by_time(namespace), unpack(times, first, math.min(first + 999, #times)))
  end
  count_gathered()
  return verdicts, ready
end
