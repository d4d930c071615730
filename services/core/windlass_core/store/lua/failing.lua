-- What becomes of a run whose attempt didn't end well.

-- Keeps a failure in the run's history: { attempt, worker, started ms, failed ms, Failure }.
local function remember(run, attempt, worker, started, failure)
  call('RPUSH', K.failures(run), cmsgpack.pack({ attempt, worker, started, now, failure }))
end

-- Back into its lane, at the place that its first ready time gives it.
local function requeue(run, r)
  call('HSET', K.run(run), 'ph', PHASE.READY)
  -- A clock may have stepped back.
  gather_ready(r.f, r.p, run, math.min(tonumber(r.t or r.c), now))
end

-- The same, with the attempt's number given back: nothing is charged.
local function requeue_uncharged(run, r)
  if r.x then call('ZREM', K.timers(), 'stop:' .. run .. ':' .. r.L) end
  call('HSET', K.run(run), 'n', tonumber(r.n) - 1)
  call('HDEL', K.run(run), 'L')
  requeue(run, r)
end
