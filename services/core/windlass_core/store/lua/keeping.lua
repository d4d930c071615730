-- Keeping a worker free: what costs more than any free worker has would starve behind small runs, so after
-- a while the roomiest worker gets no others until it has the slots. One at a time in a group, looked after
-- by the timer `room`. Needs `slots`.
local WORKERS_LOOKED_AT = 50
local HEADS_LOOKED_AT = 1000
local LOOK_AFTER = 5000

-- Level and flow of the first that waits and that no free worker has the slots for.
local function find_too_costly(group)
  local free = tonumber(call('ZREVRANGE', K.free(group), 0, 0, 'WITHSCORES')[2] or 1)
  for level = LEVELS, 1, -1 do
    for _, flow in ipairs(call('ZRANGE', K.heads(group, level), 0, HEADS_LOOKED_AT - 1)) do
      if cost_of(flow) > free then return level, flow end
    end
  end
end

-- Slots that a worker has free in a group; nothing where it gets no work or never has as many as `cost`.
local function room_of(worker, group, cost)
  local state, slots, own, further, kept, paused =
    unpack(call('HMGET', K.worker(worker), 'st', 'slots', 'group', 'pl', 'rs', 'pz'))
  if state ~= 'a' or kept or paused then return nil end
  for _, place in ipairs(places_of(own, slots, further)) do
    if place[1] == group and place[3] >= cost then return place[3] - call('SCARD', K.slots(worker, place[2])) end
  end
end

-- Of a large group, a sample of its workers is looked at.
local function roomiest(group, cost)
  local best, most
  for _, worker in ipairs(call('SRANDMEMBER', K.group_workers(group), WORKERS_LOOKED_AT)) do
    local room = room_of(worker, group, cost)
    if room and (not most or room > most) then best, most = worker, room end
  end
  return best
end

-- Whether the group's kept worker is still to be kept.
local function is_keeping(group)
  local worker = call('HGET', K.group(group), 'rs')
  local state, kept, paused = unpack(worker and call('HMGET', K.worker(worker), 'st', 'rs', 'pz') or {})
  if not kept then return false end
  kept = cmsgpack.unpack(kept)
  if kept[1] == group then
    if state == 'a' and not paused and call('EXISTS', K.ring(kept[2], kept[3])) == 1 then return true end
    stop_keeping(worker, kept)
  end
  return false
end

local function look_after_room(group, member)
  if not is_keeping(group) then
    local level, flow = find_too_costly(group)
    local worker = level and roomiest(group, cost_of(flow))
    if not worker then return end
    call('HSET', K.worker(worker), 'rs', cmsgpack.pack({ group, flow, level, cost_of(flow) }))
    call('HSET', K.group(group), 'rs', worker)
    show_free(worker)
  end
  call('ZADD', K.timers(), now + LOOK_AFTER, member)
end
