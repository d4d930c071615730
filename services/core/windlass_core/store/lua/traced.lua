-- What a step did to runs that are traced; its caller makes spans of it. The field `tp` is set only
-- where somebody records: for all others this costs one empty field.
local traced = {}

-- what: queue, delay, backoff, lost; from its beginning, in ms, until now. A clock may have stepped back.
local function note_traced(what, run, traceparent, flow, attempt, since)
  traced[#traced + 1] = { what, run, traceparent, flow, tonumber(attempt) or 0,
    math.min(tonumber(since), now), now }
end

-- The end of a wait, its delay's or its backoff's. r: the fields ph, f, p, tp, n, c of the run.
local function note_wait(run, r)
  local failure = call('LINDEX', K.failures(run), -1)
  if r[1] == PHASE.BACKOFF and failure then
    note_traced('backoff', run, r[4], r[2], r[5], cmsgpack.unpack(failure)[4])
  else
    note_traced('delay', run, r[4], r[2], r[5], r[6])
  end
end
