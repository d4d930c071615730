#!lua flags=allow-oom
-- Purpose: has an api told when something of runs is new, or no longer.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, api incarnation, runs, whether to follow (bool) }
-- Returns: msgpack: the runs that the namespace doesn't have
-- Invariants: a run's field fw is set while anybody follows it.
-- Cost:    O(1) per run
--!include keys
local call = redis.call
local namespace, inc, runs, follow = unpack(cmsgpack.unpack(ARGV[1]))
local unknown = {}
for _, run in ipairs(runs) do
  local flow = call('HGET', K.run(run), 'f')
  if not flow or string.match(flow, '^[^|]*') ~= namespace then
    unknown[#unknown + 1] = run
  elseif follow then
    call('SADD', K.followers(run), inc)
    call('HSET', K.run(run), 'fw', 1)
  else
    call('SREM', K.followers(run), inc)
    if call('EXISTS', K.followers(run)) == 0 then call('HDEL', K.run(run), 'fw') end
  end
end
return cmsgpack.pack(unknown)
