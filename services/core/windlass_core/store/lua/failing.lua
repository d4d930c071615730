-- What becomes of a run whose attempt didn't end well.

-- Keeps a failure in the run's history: { attempt, worker, started ms, failed ms, Failure, replay, whether
-- a retry was refused for want of budget }. Of many the oldest goes. r: the fields n, wk, s, rp of the run.
local function remember(run, r, failure, out_of_budget)
  local kept = call('RPUSH', K.failures(run), cmsgpack.pack({
    tonumber(r.n), r.wk, tonumber(r.s), now, failure, tonumber(r.rp) or 0, out_of_budget or false,
  }))
  if kept > LIMIT.FAILURES then
    call('LPOP', K.failures(run))
    call('HINCRBY', K.run(run), 'fd', 1)
  end
end

-- Back into its lane, at the place that its first ready time gives it.
local function requeue(run, r)
  call('HSET', K.run(run), 'ph', PHASE.READY)
  -- A clock may have stepped back.
  local since = math.min(tonumber(r.t or r.c), now)
  local gates = r.g and cmsgpack.unpack(r.g)
  if gates then
    gather_permits(run, gates, true)
    contend(run, r.p, gates, since)
  end
  gather_ready(r.f, r.p, run, since, gates)
end

-- The same, with the attempt's number given back: nothing is charged.
local function requeue_uncharged(run, r)
  if r.x then call('ZREM', K.timers(), 'stop:' .. run .. ':' .. r.L) end
  call('HSET', K.run(run), 'n', tonumber(r.n) - 1)
  call('HDEL', K.run(run), 'L')
  requeue(run, r)
end

-- An attempt whose process or worker has died: uncharged, but for a crash that was its own doing. Too many
-- of either end the run; one that had begun, and was not alone there, is alone the next time.
local function take_back(run, r, is_crash, had_begun, failure)
  local count = call('HINCRBY', K.run(run), is_crash and 'cr' or 'lo', 1)
  local ends = count >= (is_crash and LIMIT.CRASHES or LIMIT.LOSSES)
  if had_begun or ends then remember(run, r, failure) end
  if ends then return finish(run, r, PHASE.FAILED) end
  if had_begun and not is_crash then call('HSET', K.run(run), 'is', 1) end
  requeue_uncharged(run, r)
end
