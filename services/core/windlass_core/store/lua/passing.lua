-- Passing gates: which of a lane's runs may start now, and what they take. All gates or none: they are
-- looked at first. Needs `pausing`, `permits` and `rates`.

local function gates_of(lane)
  lane_gates[lane] = lane_gates[lane] or cmsgpack.unpack(call('HGET', K.lane_meta(lane), 'g'))
  return lane_gates[lane]
end

-- By kind of gate: how many runs it lets pass now; what they take.
local room_at, take = {}, {}

function room_at.c(gate) return max_runs(gate[2]) - call('ZCARD', K.permits(gate[2])) end

function take.c(gate, runs)
  local members = {}
  for _, run in ipairs(runs) do
    members[#members + 1] = now
    members[#members + 1] = run
  end
  call('ZADD', K.permits(gate[2]), unpack(members))
end

room_at.r, take.r = room_at_rate, take_units

-- Permits are given back by those that have them; a window ends by itself.
local function await(gate)
  if gate[1] == 'r' then await_window(gate) end
end

-- Whether lanes are parked at gates, as far as that is known in this call.
local parks = {}

local function has_parked(gate)
  if parks[gate] == nil then parks[gate] = call('EXISTS', K.parked(gate)) == 1 end
  return parks[gate]
end

-- A lane that has been looked at needs no more of some gates than they have: others may go on.
local function pass_on(gates, closed)
  for _, gate in ipairs(gates) do
    local name = gate[1] .. ':' .. gate[2]
    if name ~= closed and has_parked(name) then
      if room_at[gate[1]](gate) > 0 then wake(name, 1) else await(gate) end
      parks[name] = nil
    end
  end
end

-- Takes the lane at its ring's head away until the gate lets it back.
local function park(lane, flow, level, gate)
  call('LPOP', K.ring(flow, level))
  call('HSET', K.lane_meta(lane), 'at', gate)
  call('ZADD', K.parked(gate), now, lane)
  parks[gate] = true
  set_head(flow, level, groups_of(flow))
end

-- How many runs of the lane at its ring's head may start, at most `most`; where that is none, it is parked.
-- Where lanes take turns, one at a time; `others`: whether it has any beside it.
local function room_at_gates(lane, flow, level, most, others)
  local closed = pause_of(flow)
  if not has_gates(lane, flow) then
    if closed then park(lane, flow, level, closed) end
    return closed and 0 or most
  end
  local gates = gates_of(lane)
  for _, gate in ipairs(gates) do
    if closed then break end
    local room = room_at[gate[1]](gate)
    if room <= 0 then
      closed = gate[1] .. ':' .. gate[2]
      await(gate)
    end
    most = math.min(most, room, gate[4] == 'rr' and others and 1 or most)
  end
  if not closed then return most end
  park(lane, flow, level, closed)
  pass_on(gates, closed)
  return 0
end

-- The attempts take what their lane asks for.
local function pass_gates(lane, flow, attempts)
  if #attempts == 0 or not has_gates(lane, flow) then return end
  local gates, runs, keeps = gates_of(lane), {}, false
  for i, attempt in ipairs(attempts) do runs[i] = attempt[1] end
  for _, gate in ipairs(gates) do
    take[gate[1]](gate, runs)
    if gate[1] == 'c' and gate[5] == 'w' then keeps = true end
  end
  local place = string.match(lane, '/(%d#%x*)$')
  if keeps and place then
    for _, run in ipairs(runs) do call('HSET', K.run(run), 'p', (string.gsub(place, '#', '+'))) end
  end
  pass_on(gates)
end
