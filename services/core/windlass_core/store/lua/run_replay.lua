#!lua
-- Purpose: makes ended runs ready again, under their own ids and as they were submitted.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, only those that ended FAILED (bool), runs }
-- Returns: msgpack: for each 'replayed', 'already': a replay has made it ready and it has not started
--            since, 'not_ended', 'not_failed', 'key_taken': its idempotency key, which counts until its
--            end, is another run's by now, or 'unknown'
-- Invariants: a run that has not ended is not changed; failures, log lines and streams stay; not allowed when
--            memory is full.
-- Cost:    O(log n) per run
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include gates
--!include permits
--!include telling
--!include finish
--!include failing
--!include idempotency
--!include hooks
local namespace, only_failed, runs = unpack(cmsgpack.unpack(ARGV[1]))
-- What the last execution left. Who waited for its end has been told; a time to start by was the submit's.
local LEFT = { 'd', 'o', 'cx', 'L', 'wk', 's', 'n', 'cr', 'lo', 'is', 'xs', 'w', 'ww', 'pg', 'hr' }

local function join_parent(run, parent)
  local flow = call('HGET', K.run(parent), 'f')
  if flow and namespace_of(flow) == namespace then call('SADD', K.children(parent), run) end
end

local function replay(run)
  local f = call('HMGET', K.run(run), 'f', 'ph', 'p', 'pa', 'fw', 'rp', 'n', 'ik', 'ic', 'g', 'hk')
  local r = { f = f[1], p = f[3], t = now, g = f[10] }
  if not r.f or namespace_of(r.f) ~= namespace then return 'unknown' end
  if not PHASE.TERMINAL[f[2]] then return f[6] and not f[7] and 'already' or 'not_ended' end
  if only_failed and f[2] ~= PHASE.FAILED then return 'not_failed' end
  if f[9] then
    if holder_of(f[8]) then return 'key_taken' end
    take_key(run, f[8], f[9], 0)
  end
  call('ZREM', K.failed_by_time(namespace), run)
  if f[11] then forgo_hook(run) end
  call('HDEL', K.run(run), unpack(LEFT))
  if r.g then r.p = first_place(level_of(r.p), r.g) end
  call('HSET', K.run(run), 't', now, 'p', r.p)
  call('HINCRBY', K.run(run), 'rp', 1)
  if f[4] then join_parent(run, f[4]) end
  requeue(run, r)
  gather_moved(run, f[5])
  return 'replayed'
end

local outcomes = {}
for place, run in ipairs(runs) do outcomes[place] = replay(run) end
for group in pairs(push_gathered()) do mark_dirty(group) end
tell_gathered()
settle_hooks()
return cmsgpack.pack(outcomes)
