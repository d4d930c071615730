-- Runs that demand a worker that is gone for good: they fail, in pages. Needs `finish` and `failing`.
local GONE_AT_ONCE = 50

local function fail_waiting(run, flow, worker, failure)
  local f = call('HMGET', K.run(run), 'ph', 'p', 'w', 'ww', 'xs', 'g', 'n', 'rp', 'fw', 'hk')
  remember(run, { n = f[7] or 0, wk = worker, s = now, rp = f[8] }, failure)
  local r = { ph = f[1], f = flow, p = f[2], w = f[3], ww = f[4], xs = f[5], g = f[6], hk = f[10] }
  finish_waiting(run, r, nil, PHASE.FAILED)
  gather_moved(run, f[9])
end

-- Fails what is first in the group's queues. Returns whether there is more.
local function fail_page(group, failure)
  for level = LEVELS, 1, -1 do
    local flow = call('ZRANGE', K.heads(group, level), 0, 0)[1]
    local lane = flow and call('LINDEX', K.ring(flow, level), 0)
    if lane then
      for _, run in ipairs(call('ZRANGE', K.lane(lane), 0, GONE_AT_ONCE - 1)) do
        fail_waiting(run, flow, owner_of(group), failure)
      end
      return is_waiting(group)
    end
  end
  return false
end
