-- Gates: what may keep a lane waiting though a worker has room. A closed one parks the lane, out of its
-- ring and of the heads, until something opens it: nobody looks at it meanwhile.

-- Groups with free workers that may have a match, since lanes came back.
local woken = {}

-- What is paused, by namespace: the gates, or false; read once in a call.
local paused = {}

local function paused_in(namespace)
  local gates = false
  for _, gate in ipairs(call('SMEMBERS', K.paused(namespace))) do
    gates = gates or {}
    gates[gate] = true
  end
  return gates
end

-- The gate of a pause that holds the flow back, or nil.
local function pause_of(flow)
  local namespace = namespace_of(flow)
  if paused[namespace] == nil then paused[namespace] = paused_in(namespace) end
  local shut = paused[namespace]
  if not shut then return nil end
  local queue, workflow = string.match(flow, '^[^|]*|([^|]*)|([^|]*)')
  for _, gate in ipairs({ 'workflow:' .. namespace .. '|' .. workflow, 'queue:' .. namespace .. '|' .. queue }) do
    if shut[gate] then return gate end
  end
  return nil
end

-- Takes the lane at its ring's head away until the gate lets it back.
local function park(lane, flow, level, gate)
  call('LPOP', K.ring(flow, level))
  call('HSET', K.lane_meta(lane), 'at', gate)
  call('ZADD', K.parked(gate), now, lane)
  set_head(flow, level, call('SMEMBERS', K.flow_groups(flow)))
end

-- How many runs of the lane at its ring's head may start, at most `most`; where that is none, it is parked.
local function room_at_gates(lane, flow, level, most)
  local pause = pause_of(flow)
  if not pause then return most end
  park(lane, flow, level, pause)
  return 0
end

-- Puts a lane that was parked back into its ring. Returns whether a free worker may take of it.
local function come_back(lane)
  local flow, level = way_of(lane)
  local groups, has_taker = call('SMEMBERS', K.flow_groups(flow)), false
  call('HSET', K.lane_meta(lane), 'at', 'ring')
  if call('RPUSH', K.ring(flow, level), lane) == 1 then set_head(flow, level, groups) end
  for _, group in ipairs(groups) do
    if call('EXISTS', K.free(group)) == 1 then
      woken[group] = true
      has_taker = true
    end
  end
  return has_taker
end

-- Has the scheduler match what came back.
local function mark_woken()
  for group in pairs(woken) do mark_dirty(group) end
  woken = {}
end
