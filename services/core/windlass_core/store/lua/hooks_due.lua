#!lua flags=allow-oom
-- Purpose: tells whose hooks are to be started.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { how many at the most, bytes of inputs and outputs at the most }
-- Returns: msgpack: { { { run, replays, flow, version, phase, ready since ms, RunSpec, output, last failure },
--            … }, more (bool) }
-- Invariants: changes nothing; at least one where any is due, however large.
-- Cost:    O(1) per run
--!include keys
--!include time
local most, room = unpack(cmsgpack.unpack(ARGV[1]))
local due = call('ZRANGE', K.hooks_due(), 0, most - 1)
local told = {}
for _, run in ipairs(due) do
  local flow, version, phase, replays, since, accepted, spec, output =
    unpack(call('HMGET', K.run(run), 'f', 'v', 'ph', 'rp', 't', 'c', 'b', 'o'))
  room = room - #spec - #(output or '')
  if room < 0 and #told > 0 then break end
  local failure = phase == PHASE.FAILED and call('LINDEX', K.failures(run), -1) or ''
  told[#told + 1] = {
    run, tonumber(replays) or 0, flow, version, phase, tonumber(since or accepted), spec, output or '', failure,
  }
end
return cmsgpack.pack({ told, #told < #due or #due == most })
