#!lua flags=allow-oom
-- Purpose: a worker has connected: its state is made true, its leases are reconciled.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, worker, session, dispatcher incarnation, slots, group, tasks,
--            queues, info, leases held, draining (bool), session ttl ms,
--            labels { name → { text, number or false } }, further pools { name → slots } }
-- Returns: msgpack: { 'ok', lost leases, leases to cancel, attempts to deliver again }
--            or { 'taken' }: the id is a worker's of another namespace
-- Invariants: a newer session replaces the older one, whose dispatcher is told; what is leased to
--            the worker and not held by it is delivered again under the same lease.
-- Cost:    O(leases); for a new group a page of the namespace's flows
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include demand
--!include flows
--!include slots
--!include telling
--!include finish
--!include describe
--!include grouping
--!include own
--!include membership
--!include placing
local namespace, worker, session, dispatcher, slots, group, tasks, queues, info, held, draining, ttl, labels,
  pools = unpack(cmsgpack.unpack(ARGV[1]))
local old = call('HMGET', K.worker(worker), 'ns', 'sid', 'disp', 'since')
if old[1] and old[1] ~= namespace then return cmsgpack.pack({ 'taken' }) end
if old[2] and call('ZSCORE', K.presence('dispatcher'), old[3]) then
  call('RPUSH', K.inbox(old[3]), cmsgpack.pack({ 'replaced', worker, old[2] }))
end
place_worker(namespace, worker, slots, group, tasks, queues, info, labels, pools)
call('SADD', K.workers(namespace), worker)
call('HSET', K.worker(worker), 'ns', namespace, 'sid', session, 'disp', dispatcher,
  'st', draining and 'd' or 'a', 'since', old[4] or now)
call('ZADD', K.sessions(), now + ttl, worker)

local is_held, lost, cancels, again = {}, {}, {}, {}
for _, lease in ipairs(held) do is_held[lease] = true end
local attempts = call('HGETALL', K.attempts(worker))
for i = 1, #attempts, 2 do
  local lease, run = attempts[i], attempts[i + 1]
  local f = call('HMGET', K.run(run), 'n', 'b', 'f', 'v', 'c', 'x', 'cx', 'ph', 'tp')
  local r = { n = f[1], b = f[2], f = f[3], v = f[4], c = f[5], x = f[6], cx = f[7], tp = f[9] }
  if is_held[lease] then
    if f[8] == PHASE.LEASED then call('HSET', K.run(run), 'ph', PHASE.RUNNING) end
    if r.cx then cancels[#cancels + 1] = lease end
    is_held[lease] = 'known'
  else
    again[#again + 1] = describe(run, lease, tonumber(f[1]), r)
  end
end
for _, lease in ipairs(held) do
  if is_held[lease] ~= 'known' then lost[#lost + 1] = lease end
end
show_free(worker)
mark_freed()
return cmsgpack.pack({ 'ok', lost, cancels, again })
