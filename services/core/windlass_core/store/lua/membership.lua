-- A worker's place among the others: its group while it lives, and nothing once it has gone.

-- Makes a group known and puts the flows that wait for it into its heads.
local function make_group(group, namespace, tasks, queues)
  if call('EXISTS', K.group(group)) == 1 then return end
  call('HSET', K.group(group), 'ns', namespace, 'queues', cmsgpack.pack(queues))
  call('SADD', K.groups(namespace), group)
  for first = 1, #tasks, 1000 do
    call('SADD', K.group_tasks(group), unpack(tasks, first, math.min(first + 999, #tasks)))
  end
  for _, flow in ipairs(call('SMEMBERS', K.flows(namespace))) do
    if serves(group, flow) then
      join(group, flow)
      for level = 1, LEVELS do set_head(flow, level, { group }) end
    end
  end
end

-- Takes a worker out of a group; the last one takes the group with it.
local function leave_group(worker, group)
  call('ZREM', K.free(group), worker)
  call('SREM', K.group_workers(group), worker)
  if call('EXISTS', K.group_workers(group)) == 1 then return end
  for _, flow in ipairs(call('SMEMBERS', K.group_flows(group))) do
    call('SREM', K.flow_groups(flow), group)
  end
  local namespace = call('HGET', K.group(group), 'ns')
  call('SREM', K.groups(namespace), group)
  call('SREM', K.dirty(), group)
  call('DEL', K.group(group), K.group_tasks(group), K.group_flows(group), K.free(group))
  for level = 1, LEVELS do call('DEL', K.heads(group, level)) end
end

-- Forgets a worker that holds nothing.
local function forget_worker(worker)
  local namespace, group = unpack(call('HMGET', K.worker(worker), 'ns', 'group'))
  call('ZREM', K.sessions(), worker)
  call('DEL', K.worker(worker), K.slots(worker, POOL), K.attempts(worker))
  if namespace then
    call('SREM', K.workers(namespace), worker)
    leave_group(worker, group)
  end
end
