#!lua flags=allow-oom
-- Purpose: workers get no new work until they are resumed, or get it again.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, workers, pause (bool) }
-- Returns: msgpack: the workers that the namespace does not have; where there is one, nothing was changed
-- Invariants: what a worker holds stays its own; a pause lasts as long as its session, over connections.
-- Cost:    O(log W) per worker
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include demand
--!include slots
local namespace, workers, pause = unpack(cmsgpack.unpack(ARGV[1]))
local unknown = {}
for _, worker in ipairs(workers) do
  if call('HGET', K.worker(worker), 'ns') ~= namespace then unknown[#unknown + 1] = worker end
end
for _, worker in ipairs(#unknown == 0 and workers or {}) do
  if pause then call('HSET', K.worker(worker), 'pz', 1) else call('HDEL', K.worker(worker), 'pz') end
  show_free(worker)
end
mark_freed()
return cmsgpack.pack(unknown)
