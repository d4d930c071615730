#!lua flags=allow-oom
-- Purpose: paused workflows and queues go on.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, gates }
-- Returns: msgpack: for each whether it was paused till now
-- Invariants: lanes that are parked there come back in pages, by a timer.
-- Cost:    O(log n) per gate
--!include keys
--!include time
--!include wake
local namespace, gates = unpack(cmsgpack.unpack(ARGV[1]))
local changed = {}
for place, gate in ipairs(gates) do
  changed[place] = call('SREM', K.paused(namespace), gate) == 1
  if call('EXISTS', K.parked(gate)) == 1 then set_timer('open:' .. gate, now) end
end
return cmsgpack.pack(changed)
