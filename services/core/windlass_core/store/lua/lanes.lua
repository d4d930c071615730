-- Lanes: queues of ready runs with identical demands. A lane that holds anything is either in its
-- flow's ring (m:LANE at = ring), and the flow in the heads of each group that serves it, or parked
-- at the gate that `at` names and in neither. An empty lane has no keys at all.
-- A run's place in its flow is its level, and where it has gates a sign and their digest: # until its
-- first start, + when it has what it keeps between its attempts.
local LEVELS = 4

local function lane_of(flow, place) return flow .. '/' .. place end
local function first_place(level, gates) return level .. '#' .. string.sub(redis.sha1hex(gates), 1, 16) end
local function level_of(place) return string.sub(place, 1, 1) end

-- Flow and level of a lane.
local function way_of(lane) return string.match(lane, '^(.*)/(%d)[^/]*$') end

local function has_gates(lane, flow) return #lane > #flow + 2 end

local function namespace_of(flow) return (string.match(flow, '^[^|]*')) end

-- Groups that serve a flow, read once in a call until they change.
local serving = {}

local function groups_of(flow)
  serving[flow] = serving[flow] or call('SMEMBERS', K.flow_groups(flow))
  return serving[flow]
end

-- Heads that are known to be empty, by key.
local vacant = {}

-- Puts the flow into the heads of the groups, at the ready time of the first lane in its ring, or
-- takes it out where the ring is empty.
local function set_head(flow, level, groups)
  local lane = call('LINDEX', K.ring(flow, level), 0)
  local head = lane and call('ZRANGE', K.lane(lane), 0, 0, 'WITHSCORES') or {}
  for _, group in ipairs(groups) do
    local heads = K.heads(group, level)
    if head[1] then
      call('ZADD', heads, head[2], flow)
      vacant[heads] = nil
    else
      call('ZREM', heads, flow)
    end
  end
end

-- Of a gate where no lane is parked any more no timer is left.
local function drop_timer(gate)
  if call('EXISTS', K.parked(gate)) == 0 then call('ZREM', K.timers(), 'open:' .. gate) end
end

-- Takes a lane out of where it is parked.
local function unpark(lane)
  local gate = call('HGET', K.lane_meta(lane), 'at')
  call('ZREM', K.parked(gate), lane)
  drop_timer(gate)
end

-- After runs were taken out: an empty lane goes, the flow's head is set anew. rotates: another that holds
-- any goes to its ring's end, where it is at the head.
local function settle(lane, flow, level, rotates)
  if call('EXISTS', K.lane(lane)) == 0 then
    if call('LREM', K.ring(flow, level), 1, lane) == 0 then unpark(lane) end
    call('DEL', K.lane_meta(lane))
    if has_gates(lane, flow) then call('SREM', K.flow_lanes(flow), lane) end
  elseif rotates then
    call('LMOVE', K.ring(flow, level), K.ring(flow, level), 'LEFT', 'RIGHT')
  end
  set_head(flow, level, groups_of(flow))
end

-- Whether any run of the group's flows waits.
local function is_waiting(group)
  return call('EXISTS', K.heads(group, 1), K.heads(group, 2), K.heads(group, 3), K.heads(group, 4)) > 0
end

-- What a run at this place asks of its gates: once it has started, nothing that it keeps till its end.
local function asked_at(place, gates)
  if string.sub(place, 2, 2) == '#' then return gates end
  local asked = {}
  for _, gate in ipairs(gates) do
    if gate[1] ~= 'c' or gate[5] ~= 'w' then asked[#asked + 1] = gate end
  end
  return asked
end

-- Gates of lanes, each read once in a call.
local lane_gates = {}
