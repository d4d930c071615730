-- A worker's own groups, one per pool: made when the first run comes that demands exactly this worker, for
-- nothing else. When the worker is gone for good its own groups stay, marked, until the last run is deleted
-- that demanded it: what becomes ready in one of them fails. Needs `slots` and `grouping`.

local function own_group(namespace, worker, pool)
  local group = namespace .. '|=' .. worker
  return pool == POOL and group or group .. '|' .. pool
end

-- A new one comes to know its flows in pages.
local function begin_own(group, namespace, queues)
  call('HSET', K.group(group), 'ns', namespace, 'queues', queues)
  call('SADD', K.groups(namespace), group)
  offers[group] = nil
  join_page(group)
end

-- Makes one of a group that the worker is in.
local function make_own(group, namespace, worker, base)
  local queues, labels = unpack(call('HMGET', K.group(base), 'queues', 'labels'))
  call('HSET', K.group(group), 'as', base)
  if labels then call('HSET', K.group(group), 'labels', labels) end
  call('SADD', K.group_workers(group), worker)
  begin_own(group, namespace, queues)
end

-- Of a worker that is gone, or never was.
local function make_gone(namespace, demand)
  local _, pool, worker = unpack(demand)
  local own = own_group(namespace, worker, pool)
  call('HSET', K.group(own), 'gone', 1)
  call('ZADD', K.free(own), 1, worker)
  begin_own(own, namespace, cmsgpack.pack({}))
end

-- Own groups that are known to be there.
local bound = {}

-- Takes note of what the runs of a flow demand. Where that is a worker, it has its own group afterwards;
-- false: the namespace has no such worker.
local function bind(namespace, flow, demand)
  demanded[flow] = demand
  local _, pool, worker, hard = unpack(demand)
  if not hard then return true end
  local own = own_group(namespace, worker, pool)
  if bound[own] then return true end
  local of, slots, group, further = unpack(call('HMGET', K.worker(worker), 'ns', 'slots', 'group', 'pl'))
  if of ~= namespace then return false end
  bound[own] = true
  if is_gone(own) then
    -- It came back without this pool, after it had been given up.
    drop_group(own)
  elseif call('EXISTS', K.group(own)) == 1 then
    return true
  end
  local has, places = 0, further and cmsgpack.unpack(further) or {}
  for _, place in ipairs(places_of(group, slots, further)) do
    if place[2] == pool then has = place[3] end
  end
  places[#places + 1] = { own, pool, has }
  call('HSET', K.worker(worker), 'pl', cmsgpack.pack(places))
  make_own(own, namespace, worker, group)
  show_free(worker, ignore)
  return true
end

-- Of a worker that says what it is: adds to its further places its own groups, made anew where that changed.
local function keep_own(namespace, worker, slots, pools, group, had, further)
  local wanted = { [POOL] = slots }
  for pool, many in pairs(pools) do wanted[pool] = many end
  for _, place in ipairs(had) do
    if owner_of(place[1]) then wanted[place[2]] = wanted[place[2]] or 0 end
  end
  for pool, many in pairs(wanted) do
    local own = own_group(namespace, worker, pool)
    local as = call('HGET', K.group(own), 'as')
    if as or is_gone(own) then
      further[#further + 1] = { own, pool, many }
      if as ~= group or is_gone(own) then
        drop_group(own)
        make_own(own, namespace, worker, group)
      end
    end
  end
end

-- Its worker is gone for good.
local function bury(group, worker)
  call('HSET', K.group(group), 'gone', 1, 'at', '0')
  call('SREM', K.group_workers(group), worker)
  call('ZADD', K.free(group), 1, worker)
  offers[group] = nil
  join_page(group)
  if call('EXISTS', K.group(group)) == 1 and is_waiting(group) then mark_dirty(group) end
end
