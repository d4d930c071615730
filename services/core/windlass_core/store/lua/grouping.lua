-- A new group: the flows of its namespace are made known to it in pages, the first one at once. Flows
-- that are new meanwhile come by themselves. Needs `flows`.
local FLOWS_AT_ONCE = 200

-- Goes on where `at` of the group says; the timer has the next page done.
local function join_page(group)
  local namespace, at = unpack(call('HMGET', K.group(group), 'ns', 'at'))
  if not namespace then return end
  local page = call('HSCAN', K.flows(namespace), at or '0', 'COUNT', FLOWS_AT_ONCE)
  for i = 1, #page[2], 2 do
    local flow = page[2][i]
    if serves(group, flow) then
      join(group, flow)
      if call('EXISTS', K.ring(flow, 1), K.ring(flow, 2), K.ring(flow, 3), K.ring(flow, 4)) > 0 then
        for level = 1, LEVELS do set_head(flow, level, { group }) end
      end
    end
  end
  if page[1] == '0' then
    call('HDEL', K.group(group), 'at')
    drop_if_needless(group)
  else
    call('HSET', K.group(group), 'at', page[1])
    set_timer('join:' .. group, now)
  end
end

-- Makes a group known and puts the flows that wait for it into its heads.
local function make_group(group, namespace, tasks, queues, labels)
  if call('EXISTS', K.group(group)) == 1 then return end
  call('HSET', K.group(group), 'ns', namespace, 'queues', cmsgpack.pack(queues))
  if next(labels) then call('HSET', K.group(group), 'labels', cmsgpack.pack(labels)) end
  call('SADD', K.groups(namespace), group)
  for first = 1, #tasks, 1000 do
    call('SADD', K.group_tasks(group), unpack(tasks, first, math.min(first + 999, #tasks)))
  end
  join_page(group)
end
