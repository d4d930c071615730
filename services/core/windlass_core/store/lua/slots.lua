-- Slots: in each of its pools a worker has a set with as many members per attempt as that costs; what is
-- free is derived from its size. A worker has a place in one group per pool. Needs `demand`.

-- Groups with free slots for which runs wait.
local freed = {}

-- Its places, as { group, pool, slots }: the one that all workers have, and the further ones of a few.
local function places_of(group, slots, further)
  local places = { { group, POOL, tonumber(slots) } }
  for _, place in ipairs(further and cmsgpack.unpack(further) or {}) do places[#places + 1] = place end
  return places
end

local function note_freed(group) freed[group] = true end

local function ignore() end

-- Shows the worker's free slots to its groups, or takes it out where it may get no work; `heed` is called
-- with those that may have a match. What is kept for a costly run is not free for others.
local function show_free(worker, heed)
  local state, slots, group, further, kept, paused =
    unpack(call('HMGET', K.worker(worker), 'st', 'slots', 'group', 'pl', 'rs', 'pz'))
  if not group then return end
  local reserved = kept and cmsgpack.unpack(kept)
  for _, place in ipairs(places_of(group, slots, further)) do
    local of, pool, all = unpack(place)
    local free = 0
    if state == 'a' and not paused then free = all - call('SCARD', K.slots(worker, pool)) end
    if reserved and pool == pool_of(reserved[1]) and free < reserved[4] then free = 0 end
    if free > 0 then
      call('ZADD', K.free(of), free, worker)
      if is_waiting(of) then (heed or note_freed)(of) end
    else
      call('ZREM', K.free(of), worker)
    end
  end
end

-- Ends keeping a worker free: its costly run has got it, needs it no more, or can't have it.
local function stop_keeping(worker, kept, heed)
  call('HDEL', K.worker(worker), 'rs')
  call('HDEL', K.group(kept[1]), 'rs')
  show_free(worker, heed)
end

-- Has the scheduler match them.
local function mark_freed()
  for group in pairs(freed) do mark_dirty(group) end
  freed = {}
end

-- Adds what stands for an attempt of a flow to its pool's list of members.
local function add_members(pools, lease, flow)
  local demand = demand_of(flow)
  local pool = demand and demand.pool or POOL
  local members = pools[pool] or {}
  pools[pool] = members
  members[#members + 1] = lease
  for nth = 2, demand and demand.cost or 1 do members[#members + 1] = lease .. ':' .. nth end
end

local function change_slots(command, worker, pools)
  for pool, members in pairs(pools) do
    for first = 1, #members, 1000 do
      call(command, K.slots(worker, pool), unpack(members, first, math.min(first + 999, #members)))
    end
  end
end

-- Slots and leases to give back, gathered by worker: members by pool, and fields of its attempts.
local released = {}

-- An attempt that gave its slots back before has none: taking them out again changes nothing.
local function gather_slots(worker, lease, flow)
  local entry = released[worker] or { leases = {}, pools = {} }
  released[worker] = entry
  add_members(entry.pools, lease, flow)
  return entry
end

local function gather_release(worker, lease, flow)
  local entry = gather_slots(worker, lease, flow)
  entry.leases[#entry.leases + 1] = lease
end

local function release_gathered()
  for worker, entry in pairs(released) do
    for first = 1, #entry.leases, 1000 do
      call('HDEL', K.attempts(worker), unpack(entry.leases, first, math.min(first + 999, #entry.leases)))
    end
    change_slots('SREM', worker, entry.pools)
    show_free(worker)
  end
  released = {}
end
