#!lua
-- Purpose: fires ticks of crons, each as one run.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: list of { cron, revision, settled ms, made up, next ms or 0, error or '',
--            { { tick ms, the run as run_submit takes it }, … } }
-- Returns: msgpack: for each how many runs it gave, in the order of the list
-- Invariants: no tick is fired that is not after all that is settled; a cron that was changed, paused or
--          deleted since is left alone. Not allowed when memory is full.
-- Cost:    O(log n) per run and cron
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
--!include watch
--!include idempotency
--!include claiming
--!include accepting
--!include accepting_batch
--!include crons
-- Runs to accept, by namespace, and all of them by id, with their crons.
local batches, batched = {}, {}

-- Of a task whose runs have idempotency keys: another run has this one's.
local function tell_of_others(runs, verdicts)
  for place, verdict in pairs(verdicts) do
    if type(verdict) == 'table' then
      local problem = 'the run ' .. verdict[2] .. ' has the idempotency key of the tick'
      call('HSET', K.cron(batched[runs[place][1]]), 'lr', verdict[2], 'er', problem, 'et', now)
    end
  end
end

local function accept_batches()
  for namespace, runs in pairs(batches) do tell_of_others(runs, (accept_runs(namespace, '', runs))) end
  for group in pairs(queue_gathered()) do mark_dirty(group) end
  batches, batched = {}, {}
end

local function is_under_way(run)
  if batched[run] then return true end
  local phase = run and call('HGET', K.run(run), 'ph')
  return phase and not PHASE.TERMINAL[phase]
end

-- Whether the tick is to have its run, beside the one before it or in its place.
local function make_way(overlap, before)
  if overlap == '' or not is_under_way(before) then return true end
  if overlap == 'skip' then return false end
  if batched[before] then accept_batches() end
  cancel(before, 'the next tick of its cron has come')
  return true
end

local function add_to_batch(namespace, cron, run)
  batches[namespace] = batches[namespace] or {}
  table.insert(batches[namespace], run)
  batched[run[1]] = cron
end

local function fire(entry)
  local cron, revision, settled, made_up, next_due, problem, ticks = unpack(entry)
  local namespace, changes, since, rests, overlap, last = unpack(
    call('HMGET', K.cron(cron), 'ns', 'rv', 'a', 'ps', 'ov', 'lr')
  )
  if not namespace or rests or tonumber(changes) ~= revision or settled < tonumber(since) then return 0 end
  local fired, last_tick = 0, nil
  for _, pair in ipairs(ticks) do
    local tick, run = unpack(pair)
    if tick > tonumber(since) and make_way(overlap, last) then
      add_to_batch(namespace, cron, run)
      fired, last_tick, last = fired + 1, tick, run[1]
    end
  end
  call('HSET', K.cron(cron), 'a', settled, 'mk', made_up)
  if fired > 0 then
    call('HSET', K.cron(cron), 'lt', last_tick, 'lr', last)
    call('HDEL', K.cron(cron), 'er', 'et')
  elseif problem ~= '' then
    call('HSET', K.cron(cron), 'er', problem, 'et', now)
  end
  if next_due > 0 then
    call('ZADD', K.crons_due(), next_due, cron)
  else
    call('ZREM', K.crons_due(), cron)
  end
  return fired
end

local counts = {}
for place, entry in ipairs(cmsgpack.unpack(ARGV[1])) do counts[place] = fire(entry) end
accept_batches()
flush_finished()
arm_crons()
return cmsgpack.pack(counts)
