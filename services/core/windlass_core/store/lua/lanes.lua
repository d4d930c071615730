-- Lanes: queues of ready runs with identical demands. A lane that holds anything is either in its
-- flow's ring (m:LANE at = ring), and the flow in the heads of each group that serves it, or parked
-- at the gate that `at` names and in neither. An empty lane has no keys at all.
local LEVELS = 4

local function lane_of(flow, level) return flow .. '/' .. level end

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

-- After runs were taken out: an empty lane goes, the flow's head is set anew.
local function settle(lane, flow, level)
  if call('EXISTS', K.lane(lane)) == 0 then
    call('LREM', K.ring(flow, level), 0, lane)
    call('DEL', K.lane_meta(lane))
  end
  set_head(flow, level, call('SMEMBERS', K.flow_groups(flow)))
end

-- Whether any run of the group's flows waits.
local function is_waiting(group)
  return call('EXISTS', K.heads(group, 1), K.heads(group, 2), K.heads(group, 3), K.heads(group, 4)) > 0
end

-- Ready runs, gathered by lane, so that a batch costs a few calls and not a few per run.
local gathered = {}

local function gather_ready(flow, level, run, since)
  local lane = lane_of(flow, level)
  local entry = gathered[lane]
  if not entry then
    entry = { flow = flow, level = level, args = {} }
    gathered[lane] = entry
  end
  -- What was ready before may come before the lane's head; what is ready now doesn't.
  if since < now then entry.has_older = true end
  local args = entry.args
  args[#args + 1] = since
  args[#args + 1] = run
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
    if is_new then call('RPUSH', K.ring(entry.flow, entry.level), lane) end
    if is_new or entry.has_older then set_head(entry.flow, entry.level, groups) end
    for _, group in ipairs(groups) do
      if call('EXISTS', K.free(group)) == 1 then ready[group] = true end
    end
  end
  gathered = {}
  return ready
end
