#!lua flags=allow-oom
-- Purpose: attempts ended without an output: the run is tried again, now or later, or ends.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: list of { run, lease, what, delay ms, failure, retry budget of its workflow or nil };
--            what is 'retry' (after the delay), 'dead', 'release': handed back unfinished, nothing
--            charged, 'crash': its process died and it was alone there, or 'among': the same, with others
-- Returns: msgpack: a verdict for each: 'recorded', 'spent': recorded, and what was to be tried again has
--            ended, the budget was used up; 'duplicate' or 'lease_lost'
-- Invariants: needs the exact lease; a run that was to be cancelled ends cancelled; the third crash
--            ends a run, as does the twentieth loss among others.
-- Cost:    O(log n) per attempt
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include gates
--!include permits
--!include demand
--!include slots
--!include telling
--!include finish
--!include failing
--!include budgets
local verdicts = {}

local function end_by_itself(run, r, what, delay, failure, budget)
  -- It has ended by itself: from now on it may be among others again.
  if r.is then call('HDEL', K.run(run), 'is') end
  if budget and tonumber(r.n) == 1 then deposit(r.f, budget) end
  local is_spent = what == 'retry' and budget and not withdraw(r.f, budget)
  remember(run, r, failure, is_spent)
  if r.x then call('ZREM', K.timers(), 'stop:' .. run .. ':' .. r.L) end
  if what == 'dead' or is_spent then
    finish(run, r, PHASE.FAILED)
    return is_spent and 'spent' or 'recorded'
  end
  local due = now + delay
  call('HSET', K.run(run), 't', due)
  r.t = due
  if delay > 0 then
    call('HSET', K.run(run), 'ph', PHASE.BACKOFF)
    if r.g then gather_permits(run, cmsgpack.unpack(r.g), true) end
    set_timer('ready:' .. run, due)
  else
    requeue(run, r)
  end
  return 'recorded'
end

local function fail(run, r, what, delay, failure, budget)
  if r.cx then
    finish(run, r, PHASE.CANCELLED, nil, r.cx)
  elseif what == 'release' then
    requeue_uncharged(run, r)
  elseif what == 'crash' or what == 'among' then
    take_back(run, r, what == 'crash', true, failure)
  else
    return end_by_itself(run, r, what, delay, failure, budget)
  end
  return 'recorded'
end

for place, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  local run, lease, what, delay, failure, budget = unpack(item)
  local f = call('HMGET', K.run(run), 'ph', 'L', 'wk', 'f', 'w', 'ww', 'x', 'cx', 'p', 'c', 't', 'n', 's', 'fw',
    'is', 'rp', 'g', 'hk')
  local r = {
    L = f[2], wk = f[3], f = f[4], w = f[5], ww = f[6], x = f[7], cx = f[8],
    p = f[9], c = f[10], t = f[11], n = f[12], s = f[13], is = f[15], rp = f[16], g = f[17],
    hk = f[18],
  }
  if r.L ~= lease then
    verdicts[place] = 'lease_lost'
  elseif f[1] == PHASE.LEASED or f[1] == PHASE.RUNNING then
    gather_release(r.wk, lease, r.f)
    verdicts[place] = fail(run, r, what, delay, failure, budget)
    gather_moved(run, f[14])
  else
    verdicts[place] = 'duplicate'
  end
end
for group in pairs(push_gathered()) do mark_dirty(group) end
release_gathered()
mark_freed()
flush_finished()
return cmsgpack.pack(verdicts)
