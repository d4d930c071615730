#!lua
-- Purpose: keeps how far attempts are, as they say themselves.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: list of { run, lease, Progress }
-- Returns: msgpack: how many were kept
-- Invariants: needs the exact lease of an attempt that has not ended; not allowed when memory is full; of a
--            run the last word counts, and the lease under which it was said is kept with it.
-- Cost:    O(1) per attempt
--!include keys
local call = redis.call
--!include telling
local kept = 0
for _, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  local run, lease, progress = unpack(item)
  local f = call('HMGET', K.run(run), 'ph', 'L', 'fw')
  if f[2] == lease and (f[1] == PHASE.LEASED or f[1] == PHASE.RUNNING) then
    call('HSET', K.run(run), 'pg', cmsgpack.pack({ lease, progress }))
    gather_moved(run, f[3])
    kept = kept + 1
  end
end
tell_gathered()
return cmsgpack.pack(kept)
