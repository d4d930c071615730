-- Choosing: which flow is next in a group, and which worker gets its runs. Needs `demand` and `slots`.
local AGED_EVERY = 8
local HEADS_AT_ONCE = 100
local KEEP_AFTER = 5000

-- Once something has waited so long that no free worker of the group has the slots for, one is kept for it.
local function note_too_costly(group)
  local timer = 'room:' .. group
  if not call('ZSCORE', K.timers(), timer) then set_timer(timer, now + KEEP_AFTER) end
end

-- The first flow of a level of which a run fits into so many slots, and the ready time of its head.
local function first_fitting(group, level, free)
  local heads, at, most, passed = K.heads(group, level), 0, 1, false
  if vacant[heads] then return nil end
  while true do
    local page = call('ZRANGE', heads, at, at + most - 1, 'WITHSCORES')
    for i = 1, #page, 2 do
      if cost_of(page[i]) <= free then return page[i], tonumber(page[i + 1]) end
      if not passed then note_too_costly(group) end
      passed = true
    end
    if #page < 2 * most then
      vacant[heads] = #page == 0 and at == 0
      return nil
    end
    at, most = at + most, HEADS_AT_ONCE
  end
end

-- Level and flow of the next claim: the highest level with anything, but every eighth claim goes to
-- the oldest head below it.
local function next_flow(group, free)
  local aged = call('HINCRBY', K.group(group), 'n', 1) % AGED_EVERY == 0
  local level, flow, oldest
  for candidate = LEVELS, 1, -1 do
    local head, since = first_fitting(group, candidate, free)
    if head then
      if not level then
        level, flow = candidate, head
        if not aged then return level, flow end
      elseif not oldest or since < oldest then
        level, flow, oldest = candidate, head, since
      end
    end
  end
  return level, flow
end

-- Where workers are reached: their session and live dispatcher, as of this call; false: nowhere. With the
-- groups that they are in beside this one, and what they are kept free for.
local seats = {}

local function seat_of(worker)
  if seats[worker] == nil then
    local session, dispatcher, further, kept = unpack(call('HMGET', K.worker(worker), 'sid', 'disp', 'pl', 'rs'))
    local alive = dispatcher and call('ZSCORE', K.presence('dispatcher'), dispatcher)
    seats[worker] = alive and tonumber(alive) > now
      and { session = session, dispatcher = dispatcher, further = further, kept = kept and cmsgpack.unpack(kept) }
  end
  return seats[worker]
end

-- The freest worker that can be reached, as id, free slots, seat.
local function freest(group)
  while true do
    local top = call('ZREVRANGE', K.free(group), 0, 0, 'WITHSCORES')
    local worker, free = top[1], tonumber(top[2])
    if not worker then return nil end
    local seat = seat_of(worker)
    if seat then return worker, free, seat end
    call('ZREM', K.free(group), worker)
  end
end

-- Groups of a flow with preferences, the heaviest first; those without room are dropped as they are met,
-- for within a call none gets any.
local ranked = {}

local function rank(flow, demand)
  if ranked[flow] then return ranked[flow] end
  local order = {}
  for _, group in ipairs(groups_of(flow)) do
    local weight, labels = 0, call('HGET', K.group(group), 'labels')
    labels = labels and cmsgpack.unpack(labels) or {}
    for _, desired in ipairs(demand.weighted) do
      if holds(desired, labels) then weight = weight + desired[5] end
    end
    order[#order + 1] = { group = group, weight = weight }
  end
  -- The lightest first: the heaviest is taken off the end.
  table.sort(order, function(a, b) return a.weight < b.weight end)
  ranked[flow] = order
  return order
end

-- The worker that a run of the flow would rather have: the one that it sticks to where that has room, else
-- the freest of the heaviest group that has. Returns its group, id, free slots and seat.
local function preferred(flow, demand, group)
  if demand.soft then
    local slots, own, further = unpack(call('HMGET', K.worker(demand.worker), 'slots', 'group', 'pl'))
    for _, place in ipairs(own and places_of(own, slots, further) or {}) do
      local free = tonumber(call('ZSCORE', K.free(place[1]), demand.worker) or 0)
      if free >= demand.cost and call('SISMEMBER', K.flow_groups(flow), place[1]) == 1 and seat_of(demand.worker) then
        return place[1], demand.worker, free, seats[demand.worker]
      end
    end
  end
  local order = #demand.weighted > 0 and rank(flow, demand) or { { group = group } }
  while #order > 0 do
    local heaviest = order[#order].group
    local worker, free, seat = freest(heaviest)
    if worker and free >= demand.cost then return heaviest, worker, free, seat end
    order[#order] = nil
  end
  return group, freest(group)
end
