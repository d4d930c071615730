-- What a step did to runs that are traced; its caller makes spans of it. The field `tp` is set only
-- where somebody records: for all others this costs one empty field.
local traced = {}

-- what: queue, delay, backoff, lost; from its beginning, in ms, until now. A clock may have stepped back.
local function note_traced(what, run, traceparent, flow, attempt, since)
  traced[#traced + 1] = { what, run, traceparent, flow, tonumber(attempt) or 0,
    math.min(tonumber(since), now), now }
end
