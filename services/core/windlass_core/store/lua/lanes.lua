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

-- Puts the flow into the heads of the groups, at the ready time of the first lane in its ring, or
-- takes it out where the ring is empty.
local function set_head(flow, level, groups)
  local lane = call('LINDEX', K.ring(flow, level), 0)
  local head = lane and call('ZRANGE', K.lane(lane), 0, 0, 'WITHSCORES') or {}
  for _, group in ipairs(groups) do
    if head[1] then
      call('ZADD', K.heads(group, level), head[2], flow)
    else
      call('ZREM', K.heads(group, level), flow)
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

-- After runs were taken out: an empty lane goes, the flow's head is set anew.
local function settle(lane, flow, level)
  if call('EXISTS', K.lane(lane)) == 0 then
    if call('LREM', K.ring(flow, level), 1, lane) == 0 then unpark(lane) end
    call('DEL', K.lane_meta(lane))
    if has_gates(lane, flow) then call('SREM', K.flow_lanes(flow), lane) end
  end
  set_head(flow, level, call('SMEMBERS', K.flow_groups(flow)))
end

-- Whether any run of the group's flows waits.
local function is_waiting(group)
  return call('EXISTS', K.heads(group, 1), K.heads(group, 2), K.heads(group, 3), K.heads(group, 4)) > 0
end

-- Ready runs, gathered by lane, so that a batch costs a few calls and not a few per run.
local gathered = {}

-- gates: the run's own, where they are at hand.
local function gather_ready(flow, place, run, since, gates)
  local lane = lane_of(flow, place)
  local entry = gathered[lane]
  if not entry then
    entry = { flow = flow, place = place, gates = gates, args = {} }
    gathered[lane] = entry
  end
  -- What was ready before may come before the lane's head; what is ready now doesn't.
  if since < now then entry.has_older = true end
  local args = entry.args
  args[#args + 1] = since
  args[#args + 1] = run
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

-- A new lane stands at the end of its ring; one with gates knows them from its first run.
local function make_lane(lane, entry)
  call('RPUSH', K.ring(entry.flow, level_of(entry.place)), lane)
  if has_gates(lane, entry.flow) then
    local gates = entry.gates or cmsgpack.unpack(call('HGET', K.run(entry.args[2]), 'g'))
    lane_gates[lane] = asked_at(entry.place, gates)
    call('HSET', K.lane_meta(lane), 'g', cmsgpack.pack(lane_gates[lane]))
    call('SADD', K.flow_lanes(entry.flow), lane)
  end
end

-- Queues what was gathered. Returns the groups with free workers that may now have a match.
local function push_gathered()
  local ready = {}
  for lane, entry in pairs(gathered) do
    local args = entry.args
    for first = 1, #args, 1000 do
      call('ZADD', K.lane(lane), unpack(args, first, math.min(first + 999, #args)))
    end
    local groups = call('SMEMBERS', K.flow_groups(entry.flow))
    local is_new = call('HSETNX', K.lane_meta(lane), 'at', 'ring') == 1
    if is_new then make_lane(lane, entry) end
    if is_new or entry.has_older then set_head(entry.flow, level_of(entry.place), groups) end
    for _, group in ipairs(groups) do
      if call('EXISTS', K.free(group)) == 1 then ready[group] = true end
    end
  end
  gathered = {}
  return ready
end
