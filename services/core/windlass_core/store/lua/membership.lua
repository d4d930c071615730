-- A worker's place among the others: nothing once it has gone, and its group with the last one. Needs `own`.

-- Takes a worker out of a group; the last one takes the group with it.
local function leave_group(worker, group)
  call('ZREM', K.free(group), worker)
  call('SREM', K.group_workers(group), worker)
  if call('EXISTS', K.group_workers(group)) == 0 then drop_group(group) end
end

-- Forgets a worker that holds nothing.
local function forget_worker(worker)
  local namespace, slots, group, further = unpack(call('HMGET', K.worker(worker), 'ns', 'slots', 'group', 'pl'))
  call('ZREM', K.sessions(), worker)
  call('DEL', K.worker(worker), K.attempts(worker))
  if not namespace then return end
  call('SREM', K.workers(namespace), worker)
  for _, place in ipairs(places_of(group, slots, further)) do
    call('DEL', K.slots(worker, place[2]))
    if owner_of(place[1]) then bury(place[1], worker) else leave_group(worker, place[1]) end
  end
end
