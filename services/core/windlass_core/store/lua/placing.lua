-- A worker's places: the groups of what it says it is, one per pool, and its own ones. Needs `membership`.

-- Puts it there, with what it holds, and takes it out of those that it was in. `show_free` comes after.
local function place_worker(namespace, worker, slots, group, tasks, queues, info, labels, pools)
  local old = call('HMGET', K.worker(worker), 'group', 'slots', 'pl', 'rs')
  -- Its slots are shown when it has moved: the group that it leaves may be gone by then.
  if old[4] then stop_keeping(worker, cmsgpack.unpack(old[4]), ignore) end
  local had = old[1] and places_of(old[1], old[2], old[3]) or {}
  local further, is_in = {}, {}
  for pool, many in pairs(pools) do further[#further + 1] = { group .. '|' .. pool, pool, many } end
  local packed = #further > 0 and cmsgpack.pack(further)
  for _, place in ipairs(places_of(group, slots, packed)) do
    is_in[place[1]] = true
    make_group(place[1], namespace, tasks, queues, labels)
    call('SADD', K.group_workers(place[1]), worker)
  end
  keep_own(namespace, worker, slots, pools, group, had, further)
  for _, place in ipairs(had) do
    if not is_in[place[1]] and not owner_of(place[1]) then leave_group(worker, place[1]) end
  end
  packed = #further > 0 and cmsgpack.pack(further)
  call('HSET', K.worker(worker), 'group', group, 'slots', slots, 'info', info)
  if packed then call('HSET', K.worker(worker), 'pl', packed) else call('HDEL', K.worker(worker), 'pl') end
end
