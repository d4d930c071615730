-- Matching: gives the ready runs of a group's flows to the group's free workers.
local CLAIM_AT_ONCE = 16
local VISITS = 250
local AGED_EVERY = 8

-- Level and flow of the next claim: the highest level with anything, but every eighth claim goes to
-- the oldest head below it.
local function next_flow(group)
  local aged = call('HINCRBY', K.group(group), 'n', 1) % AGED_EVERY == 0
  local level, flow, oldest
  for candidate = LEVELS, 1, -1 do
    local head = call('ZRANGE', K.heads(group, candidate), 0, 0, 'WITHSCORES')
    if head[1] then
      local since = tonumber(head[2])
      if not level then
        level, flow = candidate, head[1]
        if not aged then return level, flow end
      elseif not oldest or since < oldest then
        level, flow, oldest = candidate, head[1], since
      end
    end
  end
  return level, flow
end

-- Where workers are reached: their session and live dispatcher, as of this call; false: nowhere.
local seats = {}

local function seat_of(worker)
  local session, dispatcher = unpack(call('HMGET', K.worker(worker), 'sid', 'disp'))
  local alive = dispatcher and call('ZSCORE', K.presence('dispatcher'), dispatcher)
  return alive and tonumber(alive) > now and { session = session, dispatcher = dispatcher }
end

-- The freest worker that can be reached, as id, free slots, seat.
local function freest(group)
  while true do
    local top = call('ZREVRANGE', K.free(group), 0, 0, 'WITHSCORES')
    local worker, free = top[1], tonumber(top[2])
    if not worker then return nil end
    if seats[worker] == nil then seats[worker] = seat_of(worker) end
    if seats[worker] then return worker, free, seats[worker] end
    call('ZREM', K.free(group), worker)
  end
end

-- Claims up to `room` runs of the flow for one worker. Returns the attempts, for the inbox.
local function claim(flow, level, lane, worker, room, leases)
  local popped = call('ZPOPMIN', K.lane(lane), room)
  local attempts, held, taken = {}, {}, {}
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
      taken[#taken + 1] = lease
      local r = { n = f[2], b = f[3], f = flow, v = f[4], c = f[5], x = f[6], cx = f[8], tp = f[9] }
      if r.tp then note_traced('queue', run, r.tp, flow, attempt, call('HGET', K.run(run), 't') or r.c) end
      attempts[#attempts + 1] = describe(run, lease, attempt, r)
    end
  end
  if #taken > 0 then
    call('HSET', K.attempts(worker), unpack(held))
    call('SADD', K.slots(worker, POOL), unpack(taken))
  end
  if #popped > 0 and call('EXISTS', K.lane(lane)) == 1 then
    call('LMOVE', K.ring(flow, level), K.ring(flow, level), 'LEFT', 'RIGHT')
  end
  settle(lane, flow, level)
  return attempts
end

-- Matches until workers, runs or leases are used up. Returns how many attempts were given out, and
-- whether runs are left that a free worker may take.
local function match(group, leases)
  local given, visits = 0, 0
  while #leases > 0 and visits < VISITS do
    visits = visits + 1
    local worker, free, seat = freest(group)
    if not worker then return given, false end
    local level, flow = next_flow(group)
    if not level then return given, false end
    local lane = call('LINDEX', K.ring(flow, level), 0)
    local attempts = {}
    if lane then
      local room = room_at_gates(lane, flow, level, math.min(free, #leases, CLAIM_AT_ONCE))
      if room > 0 then attempts = claim(flow, level, lane, worker, room, leases) end
    else
      call('ZREM', K.heads(group, level), flow)
    end
    if #attempts > 0 then
      given = given + #attempts
      call('RPUSH', K.inbox(seat.dispatcher), cmsgpack.pack({ 'assign', worker, seat.session, attempts }))
      if free > #attempts then
        call('ZADD', K.free(group), free - #attempts, worker)
      else
        call('ZREM', K.free(group), worker)
      end
    end
  end
  return given, call('EXISTS', K.free(group)) == 1 and is_waiting(group)
end

-- Matches the groups at once as far as the leases go, and leaves the rest to the scheduler.
local function match_now(groups, leases)
  for group in pairs(groups) do
    if #leases == 0 or select(2, match(group, leases)) then mark_dirty(group) end
  end
end
