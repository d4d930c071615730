-- Slots: a worker's set has a member per slot taken; what is free is derived from its size.
local POOL = 'default'

-- Groups with free slots for which runs wait.
local freed = {}

-- Shows the worker's free slots to its group, or takes it out where it may get no work.
local function show_free(worker)
  local state, slots, group = unpack(call('HMGET', K.worker(worker), 'st', 'slots', 'group'))
  if not group then return end
  local free = 0
  if state == 'a' then free = tonumber(slots) - call('SCARD', K.slots(worker, POOL)) end
  if free > 0 then
    call('ZADD', K.free(group), free, worker)
    if is_waiting(group) then freed[group] = true end
  else
    call('ZREM', K.free(group), worker)
  end
end

-- Has the scheduler match them.
local function mark_freed()
  for group in pairs(freed) do mark_dirty(group) end
  freed = {}
end

-- Leases to give back, gathered by worker.
local released = {}

local function gather_release(worker, lease)
  local leases = released[worker]
  if not leases then
    leases = {}
    released[worker] = leases
  end
  leases[#leases + 1] = lease
end

local function release_gathered()
  for worker, leases in pairs(released) do
    for first = 1, #leases, 1000 do
      local last = math.min(first + 999, #leases)
      call('HDEL', K.attempts(worker), unpack(leases, first, last))
      call('SREM', K.slots(worker, POOL), unpack(leases, first, last))
    end
    show_free(worker)
  end
  released = {}
end
