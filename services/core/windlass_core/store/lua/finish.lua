-- The end of a run, of which those who wait for it are told. Needs `telling` and `wake`.
local INLINE_BYTES = 4096

-- What is told of an ended run: { run, phase, output, last failure, reason, namespace }. Of an output
-- too large to be copied about there is its length; the api reads it from the run.
local function result_entry(run, phase, output, reason, flow)
  local failure = ''
  if phase == PHASE.FAILED then failure = call('LINDEX', K.failures(run), -1) or '' end
  -- A hole would make a map of the entry.
  output = output or ''
  if #output > INLINE_BYTES then output = #output end
  return cmsgpack.pack({ run, phase, output, failure, reason or '', namespace_of(flow) })
end

-- Ends runs; `done` entries are gathered too. Needs `permits`.
local ended = {}

-- Runs whose end a hook follows, each after its time.
local hooked = {}

-- r: the fields f, w, ww, x, xs, L, g of the run, and but for one that ends CANCELLED hk.
local function finish(run, r, phase, output, reason)
  local sets = { 'ph', phase, 'd', now }
  if output then
    sets[#sets + 1] = 'o'
    sets[#sets + 1] = output
  end
  if phase == PHASE.CANCELLED then
    sets[#sets + 1] = 'cx'
    sets[#sets + 1] = reason or ''
  end
  call('HSET', K.run(run), unpack(sets))
  ended[#ended + 1] = now .. ' ' .. run
  if phase == PHASE.FAILED then call('ZADD', K.failed_by_time(namespace_of(r.f)), now, run) end
  if r.hk and string.find(r.hk, phase, 1, true) then
    hooked[#hooked + 1] = now
    hooked[#hooked + 1] = run
  end
  if r.xs then call('ZREM', K.timers(), 'start:' .. run) end
  if r.x and r.L then call('ZREM', K.timers(), 'stop:' .. run .. ':' .. r.L) end
  if r.g then gather_permits(run, cmsgpack.unpack(r.g), false) end
  if r.w or r.ww then
    local entry = result_entry(run, phase, output, reason, r.f)
    if r.w then gather_telling(r.w, entry) end
    if r.ww then
      for _, inc in ipairs(call('SMEMBERS', K.waiters(run))) do
        if inc ~= r.w then gather_telling(inc, entry) end
      end
      call('DEL', K.waiters(run))
    end
  end
end

local function flush_finished()
  for first = 1, #ended, 1000 do
    call('RPUSH', K.done(), unpack(ended, first, math.min(first + 999, #ended)))
  end
  ended = {}
  for first = 1, #hooked, 1000 do
    call('ZADD', K.hooks_due(), unpack(hooked, first, math.min(first + 999, #hooked)))
  end
  if #hooked > 0 then set_timer('hooks:', now) end
  hooked = {}
  release_permits()
  mark_woken()
  tell_gathered()
end

-- Ends a run that no worker has, as cancelled unless said: takes it out of its lane and of the timers.
local function finish_waiting(run, r, reason, phase)
  if r.ph == PHASE.READY then
    local lane = lane_of(r.f, r.p)
    call('ZREM', K.lane(lane), run)
    settle(lane, r.f, level_of(r.p))
    if r.g then gather_left(asked_at(r.p, cmsgpack.unpack(r.g))) end
  else
    call('ZREM', K.timers(), 'ready:' .. run)
    call('ZREM', K.scheduled(namespace_of(r.f)), run)
  end
  finish(run, r, phase or PHASE.CANCELLED, nil, reason)
end
