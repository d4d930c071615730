-- Accepting one run, whoever submits it. What became ready is gathered: the caller queues it with
-- queue_gathered, and ends with flush_finished. Needs `flows` and `crowding`.

-- Runs of one batch have one time; parts of a millisecond, the finest that a score has, keep their order
-- in the lane. Each takes the store longer than such a part: the next batch comes after all of them.
local PARTS = 4096
local exactly = now + tonumber(stamp[2]) % 1000 / 1000

-- Of the batch under way: what is told of places, and times and runs for the index.
local verdicts, times, ready = {}, {}, 0

-- A parent that has gone, or is another namespace's, is none: nothing of it is told, no key taken.
local function look_at_parent(namespace, parent)
  if parent == '' then return false, nil end
  local f = call('HMGET', K.run(parent), 'f', 'cx')
  if not f[1] or namespace_of(f[1]) ~= namespace then return false, nil end
  return true, f[2]
end

-- Where in its flow a run with gates waits for its first start.
local function place_before(level, gates)
  learn_max_runs(gates)
  return first_place(level, cmsgpack.pack(gates))
end

-- What stays of a run whatever becomes of it.
local function record(spec, flow, level, version, timeout, parent, trace, gates, more)
  local sets = { 'b', spec, 'f', flow, 'p', level, 'v', version, 'c', now }
  local function set(field, value)
    sets[#sets + 1] = field
    sets[#sets + 1] = value
  end
  if timeout > 0 then set('x', timeout) end
  if trace ~= '' then set('tp', trace) end
  if gates then set('g', cmsgpack.pack(gates)) end
  if parent ~= '' then set('pa', parent) end
  if more and more.hk then set('hk', more.hk) end
  return sets, set
end

local function note_accepted(run, flow)
  gather_kept(flow, 1)
  times[#times + 1] = now
  times[#times + 1] = run
end

local function accept(
  place, run, spec, flow, level, version, delay, expires, timeout, inc, wait, parent, trace, has_parent, gates, more
)
  local sets, set = record(spec, flow, level, version, timeout, parent, trace, gates, more)
  if wait then set('w', inc) end
  if has_parent then call('SADD', K.children(parent), run) end
  local at = more and more.at or 0
  local due = delay > 0 and now + delay or at
  if at > 0 then set('at', at) end
  if due > now then
    set('ph', PHASE.SCHEDULED)
    set('t', due)
    set_timer('ready:' .. run, due)
    if at > 0 then call('ZADD', K.scheduled(namespace_of(flow)), at, run) end
  else
    set('ph', PHASE.READY)
    local since = more and more.since or exactly + place / PARTS
    gather_ready(flow, level, run, since, gates)
    if gates then join_crowd(run, level, gates, since) end
    ready = ready + 1
  end
  if expires > 0 then
    set('xs', 1)
    set_timer('start:' .. run, math.max(now, at) + expires)
  end
  call('HSET', K.run(run), unpack(sets))
  note_accepted(run, flow)
end

local function accept_cancelled(
  run, spec, flow, level, version, timeout, inc, wait, parent, trace, gates, more, reason
)
  call('HSET', K.run(run), unpack((record(spec, flow, level, version, timeout, parent, trace, gates, more))))
  finish(run, { f = flow, w = wait and inc }, PHASE.CANCELLED, nil, reason)
  note_accepted(run, flow)
end

-- Accepts a run once more that is there, and that nobody has queued yet.
local function accept_again(item)
  local run, spec, flow, level, version, delay, expires, timeout, _, parent, trace, more = unpack(item)
  local gates = more and more.g
  if gates then level = place_before(level, gates) end
  if more and more.p and not bind(namespace_of(flow), flow, more.p) then
    make_gone(namespace_of(flow), more.p)
  end
  accept(1, run, spec, flow, level, version, delay, expires, timeout, '', false, parent, trace, false, gates, more)
end
