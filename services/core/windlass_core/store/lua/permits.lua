-- Permits of concurrency keys: c:KEY has the runs that hold one. Those of a key with a cancelling strategy
-- stand in cu:KEY too, from when they are ready. Needs `gates`.

-- How many runs a key allows: as many as the newest run of its expression says. Read once in a call.
local allowed = {}

local function max_runs(key)
  local expression = string.match(key, '^[^|]*|[^|]*|[^|]*')
  local known = allowed[expression]
  if not known then
    known = tonumber(call('HGET', K.max_runs(namespace_of(key)), expression))
    allowed[expression] = known
  end
  return known, expression
end

local function learn_max_runs(gates)
  for _, gate in ipairs(gates) do
    if gate[1] == 'c' then
      local known, expression = max_runs(gate[2])
      if known ~= gate[3] then
        call('HSET', K.max_runs(namespace_of(gate[2])), expression, gate[3])
        allowed[expression] = gate[3]
      end
    end
  end
end

local function cancels_others(gate) return gate[1] == 'c' and gate[4] ~= 'rr' end

-- A run that is ready contends for the keys that it asks for.
local function contend(run, place, gates, since)
  for _, gate in ipairs(asked_at(place, gates)) do
    if cancels_others(gate) then call('ZADD', K.contenders(gate[2]), since, run) end
  end
end

-- Permits to give back: key → runs; and gates whose lanes may go on, since one that asked for them went.
local returned, left_behind = {}, {}

-- Takes back what a run has: at its end all of it, between attempts what it does not keep.
local function gather_permits(run, gates, keeps)
  for _, gate in ipairs(gates) do
    if gate[1] == 'c' and not (keeps and gate[5] == 'w') then
      local runs = returned[gate[2]] or {}
      runs[#runs + 1] = run
      returned[gate[2]] = runs
      if cancels_others(gate) then call('ZREM', K.contenders(gate[2]), run) end
    end
  end
end

-- A run that waited has ended: its lane may have gone, when it had just come back.
local function gather_left(gates)
  for _, gate in ipairs(gates) do left_behind[gate[1] .. ':' .. gate[2]] = true end
end

-- Gives back what was gathered; the next ones may have it.
local function release_permits()
  for key, runs in pairs(returned) do
    local count = 0
    for first = 1, #runs, 1000 do
      count = count + call('ZREM', K.permits(key), unpack(runs, first, math.min(first + 999, #runs)))
    end
    if count > 0 then wake('c:' .. key, count) end
  end
  for gate in pairs(left_behind) do wake(gate, 1) end
  returned, left_behind = {}, {}
end
