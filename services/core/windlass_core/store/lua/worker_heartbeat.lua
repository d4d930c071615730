#!lua flags=allow-oom
-- Purpose: renews sessions and reconciles the leases that their workers hold.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { session ttl ms, list of { worker, session, leases } }
-- Returns: msgpack: for each: { 'ok', lost leases } or { 'replaced' }
-- Invariants: only the session that counts is renewed; an expired one that hasn't been reaped is.
-- Cost:    O(leases)
--!include keys
--!include time
local ttl, beats = unpack(cmsgpack.unpack(ARGV[1]))
local answers = {}
for place, beat in ipairs(beats) do
  local worker, session, leases = unpack(beat)
  if call('HGET', K.worker(worker), 'sid') == session then
    call('ZADD', K.sessions(), now + ttl, worker)
    local lost = {}
    for first = 1, #leases, 1000 do
      local last = math.min(first + 999, #leases)
      local runs = call('HMGET', K.attempts(worker), unpack(leases, first, last))
      for i = first, last do
        if not runs[i - first + 1] then lost[#lost + 1] = leases[i] end
      end
    end
    answers[place] = { 'ok', lost }
  else
    answers[place] = { 'replaced' }
  end
end
return cmsgpack.pack(answers)
