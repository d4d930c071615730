#!lua flags=allow-oom
-- Purpose: does what is due: delays and backoffs end, starts are missed, children are cancelled,
--          groups come to know their flows, lanes come back from gates that opened, workers are kept free
--          for costly runs. Crons and hooks are left to the caller.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: how many timers at the most
-- Returns: msgpack: { { fired, next due ms or 0, now ms, overdue attempts: { run, lease, attempt,
--            flow, version }, { whether crons are due, whether hooks are } }, traced }; the caller
--            decides on attempts and calls run_fail, on crons crons_fire, on hooks hooks_start
-- Invariants: what is left to the caller keeps its timer, five seconds on, until that is moved.
-- Cost:    O(log n) per timer, 200 children and one page of flows per call, 100 lanes per gate
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include gates
--!include permits
--!include demand
--!include flows
--!include slots
--!include keeping
--!include grouping
--!include telling
--!include finish
--!include cancelling
--!include crowding
--!include traced
local children_left = 200
local AGAIN = 5000
local overdue = {}
local fire = {}

-- What is cancelled next may be among what became ready just now: it has to be in its lane by then.
local function queue_ready()
  for group in pairs(queue_gathered()) do mark_dirty(group) end
end

function fire.ready(run)
  local r = call('HMGET', K.run(run), 'ph', 'f', 'p', 'tp', 'n', 'c', 'g')
  if r[1] == PHASE.SCHEDULED or r[1] == PHASE.BACKOFF then
    if r[4] then note_wait(run, r) end
    if r[1] == PHASE.SCHEDULED then call('ZREM', K.scheduled(namespace_of(r[2])), run) end
    if not (r[7] and is_refused(run, r[1], r[3], cmsgpack.unpack(r[7]))) then
      call('HSET', K.run(run), 'ph', PHASE.READY)
      gather_ready(r[2], r[3], run, now)
    end
  end
end

function fire.start(run)
  queue_ready()
  local f = call('HMGET', K.run(run), 'ph', 'f', 'p', 'w', 'ww', 'n', 'g')
  if not f[6] and (f[1] == PHASE.SCHEDULED or f[1] == PHASE.READY) then
    local r = { ph = f[1], f = f[2], p = f[3], w = f[4], ww = f[5], g = f[7] }
    finish_waiting(run, r, 'had not started when its time to start ended')
  end
end

function fire.stop(rest, member)
  local run, lease = string.match(rest, '^(.*):(.*)$')
  local f = call('HMGET', K.run(run), 'ph', 'L', 'n', 'f', 'v')
  if (f[1] == PHASE.LEASED or f[1] == PHASE.RUNNING) and f[2] == lease then
    overdue[#overdue + 1] = { run, lease, tonumber(f[3]), f[4], f[5] }
    call('ZADD', K.timers(), now + AGAIN, member)
  end
end

function fire.kids(run, member)
  queue_ready()
  local children = call('SPOP', K.children(run), children_left)
  children_left = children_left - #children
  local reason = call('HGET', K.run(run), 'cx') or 'its parent was cancelled'
  for _, child in ipairs(children) do cancel(child, reason) end
  if children_left == 0 then call('ZADD', K.timers(), now, member) end
end

function fire.open(gate) open_gate(gate) end

function fire.crowd(key) crowded[key] = true end

local has_joined = false

function fire.join(group, member)
  if has_joined then
    call('ZADD', K.timers(), now, member)
  else
    has_joined = true
    join_page(group)
    if call('EXISTS', K.free(group)) == 1 and is_waiting(group) then mark_dirty(group) end
  end
end

function fire.room(group, member) look_after_room(group, member) end

-- Kinds of which something is due that the caller does.
local left = {}

local function leave(_, member)
  left[member] = true
  call('ZADD', K.timers(), now + AGAIN, member)
end

fire.crons, fire.hooks = leave, leave

local due = call('ZRANGE', K.timers(), '-inf', now, 'BYSCORE', 'LIMIT', 0, cmsgpack.unpack(ARGV[1]))
for _, member in ipairs(due) do
  call('ZREM', K.timers(), member)
  local kind, rest = string.match(member, '^(%l+):(.*)$')
  fire[kind](rest, member)
end
queue_ready()
mark_freed()
flush_finished()
local head = call('ZRANGE', K.timers(), 0, 0, 'WITHSCORES')
local are_due = { left['crons:'] or false, left['hooks:'] or false }
return cmsgpack.pack({ { #due, tonumber(head[2] or 0), now, overdue, are_due }, traced })
