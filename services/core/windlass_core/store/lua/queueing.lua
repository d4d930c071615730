-- Queueing: runs that are ready are put into their lanes. Needs `lanes`.

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

-- A new lane with gates knows them from its first run.
local function keep_gates(lane, entry)
  local gates = entry.gates or cmsgpack.unpack(call('HGET', K.run(entry.args[2]), 'g'))
  lane_gates[lane] = asked_at(entry.place, gates)
  call('HSET', K.lane_meta(lane), 'g', cmsgpack.pack(lane_gates[lane]))
end

-- Fills a lane. Returns whether it is new.
local function fill(lane, entry)
  local args = entry.args
  for first = 1, #args, 1000 do
    call('ZADD', K.lane(lane), unpack(args, first, math.min(first + 999, #args)))
  end
  local is_new = call('HSETNX', K.lane_meta(lane), 'at', 'ring') == 1
  if is_new and has_gates(lane, entry.flow) then keep_gates(lane, entry) end
  return is_new
end

local function add_all(command, key, lanes)
  for first = 1, #lanes, 1000 do call(command, key, unpack(lanes, first, math.min(first + 999, #lanes))) end
end

-- New lanes stand at the end of their ring.
local function fill_ring(flow, level, ring)
  add_all('RPUSH', K.ring(flow, level), ring.lanes)
  add_all('SADD', K.flow_lanes(flow), ring.gated)
  if #ring.lanes > 0 or ring.has_older then set_head(flow, level, groups_of(flow)) end
end

-- Queues what was gathered. Returns the groups with free workers that may now have a match.
local function push_gathered()
  local rings, ready = {}, {}
  for lane, entry in pairs(gathered) do
    local way = lane_of(entry.flow, level_of(entry.place))
    local ring = rings[way] or { lanes = {}, gated = {} }
    rings[way] = ring
    if fill(lane, entry) then
      ring.lanes[#ring.lanes + 1] = lane
      if has_gates(lane, entry.flow) then ring.gated[#ring.gated + 1] = lane end
    end
    ring.has_older = ring.has_older or entry.has_older
  end
  for way, ring in pairs(rings) do
    local flow, level = way_of(way)
    fill_ring(flow, level, ring)
    for _, group in ipairs(groups_of(flow)) do
      if not ready[group] and call('EXISTS', K.free(group)) == 1 then ready[group] = true end
    end
  end
  gathered = {}
  return ready
end
