-- Crons: each has its hash, a place in its namespace's list, and where it does not rest one among those
-- that are due. Their one timer stands where the first is due. Needs `wake`.
local function list_entry(workflow, name, cron) return workflow .. '\n' .. name .. '\n' .. cron end

local function arm_crons()
  local head = call('ZRANGE', K.crons_due(), 0, 0, 'WITHSCORES')
  if head[1] then
    set_timer('crons:', tonumber(head[2]))
  else
    call('ZREM', K.timers(), 'crons:')
  end
end

-- Has the scheduler find the first tick after now; a clock that was set back brings none twice.
local function begin_anew(cron)
  local last_tick = tonumber(call('HGET', K.cron(cron), 'lt') or 0)
  call('HSET', K.cron(cron), 'a', math.max(now, last_tick), 'mk', 0)
  if call('HEXISTS', K.cron(cron), 'ps') == 0 then call('ZADD', K.crons_due(), now, cron) end
end

-- what: { cron, workflow, name, CronSpec, overlap, expression and zone }
local function add_cron(namespace, what, is_declared)
  local cron, workflow, name, body, overlap, times = unpack(what)
  call(
    'HSET', K.cron(cron), 'ns', namespace, 'wf', workflow, 'nm', name, 'b', body, 'ov', overlap, 'x', times,
    'rv', 1, 'c', now
  )
  call('ZADD', K.crons_by_name(namespace), 0, list_entry(workflow, name, cron))
  if is_declared then
    call('HSET', K.cron(cron), 'dc', 1)
    call('SADD', K.crons_declared(namespace, workflow), cron)
  end
  begin_anew(cron)
end

local function change_cron(cron, body, overlap, times)
  local before = call('HGET', K.cron(cron), 'x')
  call('HSET', K.cron(cron), 'b', body, 'ov', overlap, 'x', times)
  call('HINCRBY', K.cron(cron), 'rv', 1)
  if before ~= times then begin_anew(cron) end
end

local function drop_cron(cron)
  local namespace, workflow, name = unpack(call('HMGET', K.cron(cron), 'ns', 'wf', 'nm'))
  call('DEL', K.cron(cron))
  call('ZREM', K.crons_due(), cron)
  call('ZREM', K.crons_by_name(namespace), list_entry(workflow, name, cron))
  call('SREM', K.crons_declared(namespace, workflow), cron)
end
