-- Rate limits: so many units per window, which begins with the first use after the former has ended. A
-- limit that was put has its units and window in rl:KEY; others bring theirs with them. Needs `gates`.

-- Units in all, units used in the window that is open, and its end; nil: nobody has put it; no end: none is.
local function look_at_rate(gate)
  local limit, window, start, used = unpack(call('HMGET', K.rate(gate[2]), 'limit', 'window', 'start', 'used'))
  local units = gate[4] > 0 and gate[4] or tonumber(limit)
  local ends = start and tonumber(start) + tonumber(window)
  if ends and ends > now then return units, tonumber(used), ends end
  return units, 0, nil
end

-- A limit that was lowered is enough for one run at least.
local function units_of(gate, limit) return math.min(gate[3], limit) end

local function room_at_rate(gate)
  local limit, used = look_at_rate(gate)
  if not limit then return 0 end
  return math.floor((limit - used) / units_of(gate, limit))
end

local function take_units(gate, runs)
  local limit, _, ends = look_at_rate(gate)
  local units, key = units_of(gate, limit) * #runs, K.rate(gate[2])
  if ends then
    call('HINCRBY', key, 'used', units)
  else
    call('HSET', key, 'start', now, 'used', units)
    if gate[4] > 0 then
      call('HSET', key, 'window', gate[5])
      call('PEXPIREAT', key, now + gate[5])
    end
  end
end

-- Nobody looks at a lane that does not fit until the window has ended.
local function await_window(gate)
  local _, _, ends = look_at_rate(gate)
  if ends then set_timer('open:r:' .. gate[2], ends) end
end
