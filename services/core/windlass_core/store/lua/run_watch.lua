#!lua flags=allow-oom
-- Purpose: has an api told of the end of runs; of those that have ended, at once.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, api incarnation, runs }
-- Returns: msgpack: the runs that the namespace doesn't have
-- Invariants: no end falls between asking and being told.
-- Cost:    O(1) per run
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include telling
--!include finish
--!include watch
local namespace, inc, runs = unpack(cmsgpack.unpack(ARGV[1]))
local unknown = {}
for _, run in ipairs(runs) do
  local flow = call('HGET', K.run(run), 'f')
  if flow and namespace_of(flow) == namespace then
    watch(run, inc)
  else
    unknown[#unknown + 1] = run
  end
end
tell_gathered()
return cmsgpack.pack(unknown)
