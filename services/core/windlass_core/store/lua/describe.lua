-- So many of its last failures travel with an attempt.
local LATEST_FAILURES = 20

-- What a dispatcher needs to know of an attempt. Of a large spec there is its length: it reads it
-- from the run. One more, `true`, follows where it has to be alone in its process, which no run has that
-- was never given out: those have no r.n.
local function describe(run, lease, attempt, r)
  local spec = r.b
  if #spec > INLINE_BYTES then spec = #spec end
  local failures = {}
  if attempt > 1 then failures = call('LRANGE', K.failures(run), -LATEST_FAILURES, -1) end
  local is_isolated = r.n and call('HGET', K.run(run), 'is')
  return { run, lease, attempt, r.f, r.v, tonumber(r.c), tonumber(r.x) or 0, spec, r.cx ~= false, failures,
    r.tp or '', is_isolated and true or nil }
end
