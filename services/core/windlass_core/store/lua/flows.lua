-- Flows: lanes that differ only in their keys. A flow is known while any of its runs is kept, and so is
-- which groups serve it: it goes with its last run. The count changes once per flow and call.

-- What the workers of a group can take; each part is read once in a call.
local offers = {}

local function offer_of(group)
  local queues = {}
  for _, queue in ipairs(cmsgpack.unpack(call('HGET', K.group(group), 'queues'))) do queues[queue] = true end
  return { tasks = {}, queues = next(queues) and queues }
end

local function serves(group, flow)
  local queue, task = string.match(flow, '^[^|]*|([^|]*)|(.*)$')
  offers[group] = offers[group] or offer_of(group)
  local queues, tasks = offers[group].queues, offers[group].tasks
  if queues and not queues[queue] then return false end
  if tasks[task] == nil then tasks[task] = call('SISMEMBER', K.group_tasks(group), task) == 1 end
  return tasks[task]
end

local function join(group, flow)
  call('SADD', K.flow_groups(flow), group)
  call('SADD', K.group_flows(group), flow)
end

local function retire(namespace, flow)
  call('HDEL', K.flows(namespace), flow)
  for _, group in ipairs(call('SMEMBERS', K.flow_groups(flow))) do
    call('SREM', K.group_flows(group), flow)
  end
  call('DEL', K.flow_groups(flow))
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
      for _, group in ipairs(call('SMEMBERS', K.groups(namespace))) do
        if serves(group, flow) then join(group, flow) end
      end
    end
  end
  changes = {}
end
