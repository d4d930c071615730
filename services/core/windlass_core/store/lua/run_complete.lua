#!lua flags=allow-oom
-- Purpose: attempts ended with an output: the run ends, those who wait are told, the slots are given
--          to the next ones at once, which saves the scheduler's hop.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { list of { run, lease, output, for a first attempt its workflow's retry budget or
--            nil }, leases to give out at once }
-- Returns: msgpack: { a verdict for each: 'recorded', 'duplicate' or 'lease_lost', traced }
-- Invariants: needs the exact lease; a run that was to be cancelled ends cancelled.
-- Cost:    O(log n) per attempt
--!include keys
--!include time
--!include wake
--!include lanes
--!include queueing
--!include gates
--!include permits
--!include demand
--!include slots
--!include telling
--!include finish
--!include describe
--!include traced
--!include choosing
--!include pausing
--!include rates
--!include passing
--!include handing
--!include match
--!include budgets
local attempts, leases = unpack(cmsgpack.unpack(ARGV[1]))
local verdicts = {}
for place, item in ipairs(attempts) do
  local run, lease, output, budget = unpack(item)
  local f = call('HMGET', K.run(run), 'ph', 'L', 'wk', 'f', 'w', 'ww', 'x', 'cx', 'g', 'hk')
  local live = f[1] == PHASE.LEASED or f[1] == PHASE.RUNNING
  if f[2] ~= lease then
    verdicts[place] = 'lease_lost'
  elseif live then
    verdicts[place] = 'recorded'
    if budget then gather_deposit(f[4], budget) end
    local r = { L = lease, f = f[4], w = f[5], ww = f[6], x = f[7], g = f[9], hk = f[10] }
    if f[8] then
      finish(run, r, PHASE.CANCELLED, nil, f[8])
    else
      finish(run, r, PHASE.COMPLETED, output)
    end
    gather_release(f[3], lease, f[4])
  else
    verdicts[place] = PHASE.TERMINAL[f[1]] and 'duplicate' or 'lease_lost'
  end
end
release_gathered()
release_permits()
match_now(freed, leases)
flush_finished()
flush_deposits()
return cmsgpack.pack({ verdicts, traced })
