-- Matching: gives the ready runs of a group's flows to the group's free workers. Needs `choosing` and `handing`.
local CLAIM_AT_ONCE = 16
local VISITS = 250

-- Claims up to `room` runs of the flow for one worker. Returns the attempts, for the inbox.
local function claim(flow, level, lane, worker, room, leases)
  local popped = call('ZPOPMIN', K.lane(lane), room)
  local attempts, held, pools = {}, {}, {}
  for i = 1, #popped, 2 do
    local run = popped[i]
    local f = call('HMGET', K.run(run), 'ph', 'n', 'b', 'v', 'c', 'x', 'xs', 'cx', 'tp')
    if f[1] == PHASE.READY then
      local lease = table.remove(leases)
      local attempt = (tonumber(f[2]) or 0) + 1
      call('HSET', K.run(run), 'ph', PHASE.LEASED, 'n', attempt, 'L', lease, 'wk', worker, 's', now)
      if f[7] then
        call('ZREM', K.timers(), 'start:' .. run)
        call('HDEL', K.run(run), 'xs')
      end
      if f[6] then set_timer('stop:' .. run .. ':' .. lease, now + tonumber(f[6]) + LIMIT.STOP_GRACE) end
      held[#held + 1] = lease
      held[#held + 1] = run
      add_members(pools, lease, flow)
      local r = { n = f[2], b = f[3], f = flow, v = f[4], c = f[5], x = f[6], cx = f[8], tp = f[9] }
      if r.tp then note_traced('queue', run, r.tp, flow, attempt, call('HGET', K.run(run), 't') or r.c) end
      attempts[#attempts + 1] = describe(run, lease, attempt, r)
    end
  end
  if #held > 0 then
    call('HSET', K.attempts(worker), unpack(held))
    change_slots('SADD', worker, pools)
  end
  settle(lane, flow, level, #popped > 0)
  return attempts
end

-- Which run is next and for whom, as level, flow, group of the worker, worker, free slots and seat.
local function choose(group)
  local worker, free, seat = freest(group)
  if not worker then return nil end
  if seat.kept and pool_of(seat.kept[1]) == pool_of(group) then
    return tonumber(seat.kept[3]), seat.kept[2], group, worker, free, seat
  end
  local level, flow = next_flow(group, free)
  if not level then return nil end
  local demand = demand_of(flow)
  if demand and (demand.soft or #demand.weighted > 0) then return level, flow, preferred(flow, demand, group) end
  return level, flow, group, worker, free, seat
end

-- So many slots has a worker left after a claim.
local function note_taken(worker, seat, group, free)
  if seat.further then
    show_free(worker, ignore)
  elseif free > 0 then
    call('ZADD', K.free(group), free, worker)
  else
    call('ZREM', K.free(group), worker)
  end
end

local function give_out(group, leases)
  local given, visits = 0, 0
  while #leases > 0 and visits < VISITS do
    visits = visits + 1
    local level, flow, of, worker, free, seat = choose(group)
    if not worker then return given, false end
    local lane, others = unpack(call('LRANGE', K.ring(flow, level), 0, 1))
    local cost, attempts = cost_of(flow), {}
    if lane then
      local most = math.min(math.floor(free / cost), #leases, CLAIM_AT_ONCE)
      local room = room_at_gates(lane, flow, level, most, others)
      if room > 0 then attempts = claim(flow, level, lane, worker, room, leases) end
      pass_gates(lane, flow, attempts)
    else
      call('ZREM', K.heads(group, level), flow)
    end
    if #attempts > 0 then
      given = given + #attempts
      hand(worker, seat, attempts)
      note_taken(worker, seat, of, free - cost * #attempts)
    end
    if seat.kept and seat.kept[2] == flow and (#attempts > 0 or not lane) then
      stop_keeping(worker, seat.kept, mark_dirty)
      seat.kept = nil
    end
  end
  return given, call('EXISTS', K.free(group)) == 1 and is_waiting(group)
end

-- Matches until workers, runs or leases are used up. Returns how many attempts were given out, and
-- whether runs are left that a free worker may take, or that the scheduler is to fail.
local function match(group, leases)
  if is_gone(group) then return 0, true end
  local given, is_left = give_out(group, leases)
  hand_over()
  spend()
  return given, is_left
end

-- Matches the groups at once as far as the leases go, and leaves the rest to the scheduler.
local function match_now(groups, leases)
  for group in pairs(with_woken(groups)) do
    if #leases == 0 or select(2, match(group, leases)) then mark_dirty(group) end
    woken[group] = nil
  end
end
