-- Rate limits: so many units per window, which begins with the first use after the former has ended. A
-- limit that was put has its units and window in rl:KEY; others bring theirs with them. Needs `gates`.

-- Windows by key, each read once in a call: units in all as they were put, units used, its end while it is open.
local windows = {}

local function window_of(key)
  local limit, window, start, used = unpack(call('HMGET', K.rate(key), 'limit', 'window', 'start', 'used'))
  local found = { limit = tonumber(limit), used = 0, length = tonumber(window) }
  local ends = start and tonumber(start) + found.length
  if ends and ends > now then found.used, found.ends = tonumber(used), ends end
  return found
end

-- Units in all, nil where nobody has put it; and the window.
local function look_at_rate(gate)
  local key = gate[2]
  windows[key] = windows[key] or window_of(key)
  return gate[4] > 0 and gate[4] or windows[key].limit, windows[key]
end

-- A limit that was lowered is enough for one run at least.
local function units_of(gate, limit) return math.min(gate[3], limit) end

local function room_at_rate(gate)
  local limit, window = look_at_rate(gate)
  if not limit then return 0 end
  return math.floor((limit - window.used) / units_of(gate, limit))
end

-- Windows of which units were taken, by key; one that has begun in this call has a `begin`.
local spent = {}

local function take_units(gate, runs)
  local limit, window = look_at_rate(gate)
  window.used = window.used + units_of(gate, limit) * #runs
  if not window.ends then
    window.length = gate[4] > 0 and gate[5] or window.length
    window.begin, window.goes, window.ends = true, gate[4] > 0, now + window.length
  end
  spent[gate[2]] = window
end

-- Stores what was taken.
local function spend()
  for name, window in pairs(spent) do
    local key = K.rate(name)
    call('HSET', key, 'used', window.used)
    if window.begin then
      call('HSET', key, 'start', now, 'window', window.length)
      -- Nobody has put it: it goes with its window.
      if window.goes then call('PEXPIREAT', key, window.ends) end
      window.begin = false
    end
  end
  spent = {}
end

-- Nobody looks at a lane that does not fit until the window has ended.
local function await_window(gate)
  local _, window = look_at_rate(gate)
  if window.ends then set_timer('open:r:' .. gate[2], window.ends) end
end
