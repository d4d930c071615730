-- Idempotency keys: one run for all submits with a key. A key's value is `run content`, and ` u` behind it
-- where it counts until that run has ended; all others go when their window is over.

-- The run that a key counts for, and the digest of its content; nil where the key is free.
local function holder_of(key)
  local run, content, lasting = string.match(call('GET', K.idempotency(key)) or '', '^(%S+) (%S+)(.*)$')
  if run and lasting ~= '' then
    local phase = call('HGET', K.run(run), 'ph')
    if not phase or PHASE.TERMINAL[phase] then return nil end
  end
  return run, content
end

-- window: in ms; 0: until the run has ended.
local function take_key(run, key, content, window)
  if window > 0 then
    call('SET', K.idempotency(key), run .. ' ' .. content, 'PX', window)
    call('HSET', K.run(run), 'ik', key)
  else
    call('SET', K.idempotency(key), run .. ' ' .. content .. ' u')
    call('HSET', K.run(run), 'ik', key, 'ic', content)
  end
end

local function free_key(run, key)
  local held = call('GET', K.idempotency(key))
  if held and string.match(held, '^%S+') == run then call('DEL', K.idempotency(key)) end
end
