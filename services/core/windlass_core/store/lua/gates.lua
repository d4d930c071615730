-- Gates: what may keep a lane waiting though a worker has room. A closed one parks the lane, out of its
-- ring and of the heads, until something opens it: nobody looks at it meanwhile. Needs `lanes`.
local WAKES = 16
local LANES_AT_ONCE = 100

-- Groups with free workers that may have a match, since lanes came back.
local woken = {}

-- Puts a lane that was parked back into its ring. Returns whether a free worker may take of it.
local function come_back(lane)
  local flow, level = way_of(lane)
  local groups, has_taker = groups_of(flow), false
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

-- Lets so many lanes come back that free workers may take of, those first that have been parked for the
-- longest. Where only others are found, the timer looks at further ones.
local function wake(gate, takers)
  local looked = 0
  while takers > 0 and looked < WAKES do
    local lane = call('ZPOPMIN', K.parked(gate))[1]
    if not lane then break end
    if come_back(lane) then takers = takers - 1 end
    looked = looked + 1
  end
  if looked == WAKES and takers > 0 then set_timer('open:' .. gate, now) end
  if looked > 0 and string.sub(gate, 1, 2) == 'r:' then drop_timer(gate) end
end

-- A timer's: the next page of what is parked at a gate that may be open again.
local function open_gate(gate)
  local kind, key = string.match(gate, '^(%l+):(.*)$')
  if kind == 'c' or kind == 'r' then return wake(gate, 1) end
  if call('SISMEMBER', K.paused(namespace_of(key)), gate) == 1 then return end
  local lanes = call('ZPOPMIN', K.parked(gate), LANES_AT_ONCE)
  for i = 1, #lanes, 2 do come_back(lanes[i]) end
  if call('EXISTS', K.parked(gate)) == 1 then set_timer('open:' .. gate, now) end
end

-- The groups, and those with free workers since lanes came back.
local function with_woken(groups)
  for group in pairs(woken) do groups[group] = true end
  return groups
end

-- Has the scheduler match what came back.
local function mark_woken()
  for group in pairs(woken) do mark_dirty(group) end
  woken = {}
end
