#!lua flags=allow-oom
-- Purpose: a worker has got these attempts.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: list of { run, lease }
-- Returns: msgpack: how many were leased and are running now
-- Invariants: only a leased attempt with the exact lease starts to run; others are passed over.
-- Cost:    O(1) per attempt
--!include keys
local call = redis.call
--!include telling
local started = 0
for _, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  local run, lease = unpack(item)
  local r = call('HMGET', K.run(run), 'ph', 'L', 'fw')
  if r[1] == PHASE.LEASED and r[2] == lease then
    call('HSET', K.run(run), 'ph', PHASE.RUNNING)
    gather_moved(run, r[3])
    started = started + 1
  end
end
tell_gathered()
return cmsgpack.pack(started)
