-- Telling apis what their clients wait for.
local OUTBOX_ENTRIES = 100000

-- Entries for the apis that wait, gathered by incarnation.
local tellings = {}

local function gather_telling(inc, entry)
  local entries = tellings[inc] or {}
  tellings[inc] = entries
  entries[#entries + 1] = entry
end

local function tell_gathered()
  for inc, entries in pairs(tellings) do
    if call('ZSCORE', K.presence('api'), inc) then
      local length = 0
      for first = 1, #entries, 1000 do
        length = call('RPUSH', K.outbox(inc), unpack(entries, first, math.min(first + 999, #entries)))
      end
      if length > OUTBOX_ENTRIES then
        call('UNLINK', K.outbox(inc))
        call('RPUSH', K.outbox(inc), cmsgpack.pack({ 'resync' }))
      end
    end
  end
  tellings = {}
end

-- Something of a run is new: the apis whose clients follow it look for themselves.
local function gather_moved(run, followed)
  if not followed then return end
  local gone = false
  for _, inc in ipairs(call('SMEMBERS', K.followers(run))) do
    if call('ZSCORE', K.presence('api'), inc) then
      gather_telling(inc, cmsgpack.pack({ 'moved', run }))
    else
      call('SREM', K.followers(run), inc)
      gone = true
    end
  end
  if gone and call('EXISTS', K.followers(run)) == 0 then call('HDEL', K.run(run), 'fw') end
end
