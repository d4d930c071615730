-- A worker's place among the others: nothing once it has gone, and its group with the last one.

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
  call('ZREM', K.timers(), 'join:' .. group, 'room:' .. group)
  call('UNLINK', K.group(group), K.group_tasks(group), K.group_flows(group), K.free(group))
  for level = 1, LEVELS do call('UNLINK', K.heads(group, level)) end
end

-- Forgets a worker that holds nothing.
local function forget_worker(worker)
  local namespace, slots, group, further = unpack(call('HMGET', K.worker(worker), 'ns', 'slots', 'group', 'pl'))
  call('ZREM', K.sessions(), worker)
  call('DEL', K.worker(worker), K.attempts(worker))
  if namespace then
    call('SREM', K.workers(namespace), worker)
    for _, place in ipairs(places_of(group, slots, further)) do
      leave_group(worker, place[1])
      call('DEL', K.slots(worker, place[2]))
    end
  end
end
