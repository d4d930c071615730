#!lua flags=allow-oom
-- Purpose: takes the attempts of workers whose session has expired back into their queues.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { Failure for a lost worker, Failure for a crash }
-- Returns: msgpack: { { attempts taken back, more (bool) }, traced }
-- Invariants: an attempt alone on its worker is charged as a crash, the third one ends the run; one
--            that was not alone, or that the worker hadn't accepted, is charged nothing, but a run
--            lost 20 times ends; one that ran and was not alone is isolated the next time.
-- Cost:    O(log n) per attempt, 200 per call
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
--!include grouping
--!include own
--!include telling
--!include finish
--!include failing
--!include membership
--!include traced
local AT_ONCE = 200
local lost, crashed = unpack(cmsgpack.unpack(ARGV[1]))
local taken, more = 0, false

local function take_from_worker(run, lease, alone)
  local f = call('HMGET', K.run(run), 'ph', 'L', 'f', 'w', 'ww', 'x', 'cx', 'p', 'c', 't', 'n', 's', 'wk', 'fw',
    'tp', 'rp', 'g', 'hk')
  local r = {
    L = lease, f = f[3], w = f[4], ww = f[5], x = f[6], cx = f[7], p = f[8], c = f[9], t = f[10], n = f[11],
    s = f[12], wk = f[13], rp = f[16], g = f[17], hk = f[18],
  }
  local running = f[1] == PHASE.RUNNING
  if f[2] ~= lease or not (running or f[1] == PHASE.LEASED) then return end
  if f[15] then note_traced('lost', run, f[15], r.f, r.n, f[12]) end
  if r.cx then return finish(run, r, PHASE.CANCELLED, nil, r.cx) end
  -- One that kills its worker at once is never accepted.
  local is_crash = running and alone
  take_back(run, r, is_crash, running, is_crash and crashed or lost)
  gather_moved(run, f[14])
end

local expired = call('ZRANGE', K.sessions(), '-inf', now, 'BYSCORE', 'LIMIT', 0, 20)
for _, worker in ipairs(expired) do
  local attempts = call('HGETALL', K.attempts(worker))
  -- A session without an id is one that a former page began to reap.
  local alone = #attempts == 2 and call('HGET', K.worker(worker), 'sid') ~= ''
  local pools = {}
  for i = 1, #attempts, 2 do
    if taken == AT_ONCE then break end
    taken = taken + 1
    add_members(pools, attempts[i], call('HGET', K.run(attempts[i + 1]), 'f') or '')
    take_from_worker(attempts[i + 1], attempts[i], alone)
    call('HDEL', K.attempts(worker), attempts[i])
  end
  change_slots('SREM', worker, pools)
  if call('EXISTS', K.attempts(worker)) == 0 then
    forget_worker(worker)
  else
    -- No longer a session that can be renewed: the rest goes with the next page.
    call('HSET', K.worker(worker), 'sid', '', 'st', 'g')
    show_free(worker)
    more = true
  end
  if taken == AT_ONCE then break end
end
for group in pairs(push_gathered()) do mark_dirty(group) end
mark_freed()
flush_finished()
return cmsgpack.pack({ { taken, more or #expired == 20 }, traced })
