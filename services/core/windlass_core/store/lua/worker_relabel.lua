#!lua flags=allow-oom
-- Purpose: a worker's labels have changed: it moves to the group of those that are like it now.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, worker, session, slots, group, tasks, queues, info,
--            labels { name → { text, number or false } }, further pools { name → slots } }
-- Returns: msgpack: whether the session still counts; where it doesn't, nothing was changed
-- Invariants: what it holds stays its own, with its slots; its state and a pause stay.
-- Cost:    as a worker_hello that holds nothing
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include demand
--!include flows
--!include slots
--!include grouping
--!include own
--!include membership
--!include placing
local namespace, worker, session, slots, group, tasks, queues, info, labels, pools = unpack(cmsgpack.unpack(ARGV[1]))
local counts = call('HGET', K.worker(worker), 'sid') == session
if counts then
  place_worker(namespace, worker, slots, group, tasks, queues, info, labels, pools)
  show_free(worker)
  mark_freed()
end
return cmsgpack.pack(counts)
