-- Flows: lanes that differ only in their keys. A flow is known while any of its runs is kept, and so is
-- which groups serve it: it goes with its last run. The count changes once per flow and call. Needs
-- `demand`.

-- What the workers of a group can take; each part is read once in a call.
local offers = {}

local function offer_of(group)
  if offers[group] then return offers[group] end
  local packed, labels, as = unpack(call('HMGET', K.group(group), 'queues', 'labels', 'as'))
  local queues = {}
  for _, queue in ipairs(cmsgpack.unpack(packed)) do queues[queue] = true end
  offers[group] = {
    tasks = {}, queues = next(queues) and queues, labels = labels and cmsgpack.unpack(labels) or {},
    pool = pool_of(group), owner = owner_of(group), is_gone = is_gone(group), tasks_of = as or group,
  }
  return offers[group]
end

-- The own group of a worker that is gone takes what demands it, whatever it could run.
local function satisfies(offer, demand)
  if offer.pool ~= (demand and demand.pool or POOL) then return false end
  if offer.owner ~= (demand and demand.hard and demand.worker or nil) then return false end
  if offer.is_gone then return true end
  for _, desired in ipairs(demand and demand.required or {}) do
    if not holds(desired, offer.labels) then return false end
  end
  return true
end

local function serves(group, flow)
  local queue, task = string.match(flow, '^[^|]*|([^|]*)|([^|]*)')
  local offer = offer_of(group)
  local tasks = offer.tasks
  if not satisfies(offer, demand_of(flow)) then return false end
  if offer.is_gone then return true end
  if offer.queues and not offer.queues[queue] then return false end
  if tasks[task] == nil then tasks[task] = call('SISMEMBER', K.group_tasks(offer.tasks_of), task) == 1 end
  return tasks[task]
end

-- What runs demand whose flow may be new.
local demanded = {}

local function join(group, flow)
  call('SADD', K.flow_groups(flow), group)
  serving[flow] = nil
  call('SADD', K.group_flows(group), flow)
end

-- Forgets a group that has no workers any more.
local function drop_group(group)
  for _, flow in ipairs(call('SMEMBERS', K.group_flows(group))) do
    call('SREM', K.flow_groups(flow), group)
    serving[flow] = nil
  end
  call('SREM', K.groups(namespace_of(group)), group)
  call('SREM', K.dirty(), group)
  call('ZREM', K.timers(), 'join:' .. group, 'room:' .. group)
  call('UNLINK', K.group(group), K.group_tasks(group), K.group_flows(group), K.free(group), K.group_workers(group))
  for level = 1, LEVELS do call('UNLINK', K.heads(group, level)) end
end

local function drop_if_needless(group)
  if is_gone(group) and call('EXISTS', K.group_flows(group)) == 0 then drop_group(group) end
end

local function retire(namespace, flow)
  call('HDEL', K.flows(namespace), flow)
  for _, group in ipairs(groups_of(flow)) do
    call('SREM', K.group_flows(group), flow)
    drop_if_needless(group)
  end
  call('DEL', K.flow_groups(flow), K.demand(flow))
  serving[flow] = nil
end

-- How many more runs of a flow are kept, or fewer.
local changes = {}

local function gather_kept(flow, change) changes[flow] = (changes[flow] or 0) + change end

-- Counts what was gathered. A new flow is made known to the groups that serve it, before any of its
-- runs is queued.
local function count_gathered()
  for flow, change in pairs(changes) do
    local namespace = namespace_of(flow)
    local kept = call('HINCRBY', K.flows(namespace), flow, change)
    if kept <= 0 then
      retire(namespace, flow)
    elseif kept == change then
      if demanded[flow] then
        call('SET', K.demand(flow), cmsgpack.pack(demanded[flow]))
        demands[flow] = nil
      end
      for _, group in ipairs(call('SMEMBERS', K.groups(namespace))) do
        if serves(group, flow) then join(group, flow) end
      end
    end
  end
  changes = {}
end
