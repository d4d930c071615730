#!lua
-- Purpose: gives a run that is still to come another time, or another spec.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, its spec before, the run as run_submit takes it }
-- Returns: msgpack: 'changed', 'late': its time has come; 'stale': it has another spec by now; or
--          'unknown': no such run was ever scheduled
-- Invariants: who waits for the run, its accept and its parent stay; not allowed when memory is full.
-- Cost:    O(log n)
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
--!include cancelling
--!include crowding
--!include accepting
local namespace, before, item = unpack(cmsgpack.unpack(ARGV[1]))
local run = item[1]
local key = K.run(run)

local function change()
  local spec, flow, accepted, phase, at = unpack(call('HMGET', key, 'b', 'f', 'c', 'ph', 'at'))
  if not at or namespace_of(flow) ~= namespace then return 'unknown' end
  if phase ~= PHASE.SCHEDULED then return 'late' end
  if spec ~= before then return 'stale' end
  call('ZREM', K.timers(), 'ready:' .. run, 'start:' .. run)
  call('ZREM', K.scheduled(namespace), run)
  call('HDEL', key, 't', 'at', 'x', 'xs', 'g')
  gather_kept(flow, -1)
  accept_again(item)
  call('HSET', key, 'c', accepted)
  count_gathered()
  for group in pairs(queue_gathered()) do mark_dirty(group) end
  flush_finished()
  return 'changed'
end

return cmsgpack.pack(change())
