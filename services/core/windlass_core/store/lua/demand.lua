-- Demands: what the runs of a flow ask of a worker beyond its tasks and queues. A flow whose name has a
-- fourth part has one, kept under the flow as msgpack: { cost, pool, worker or '', hard (bool),
-- required labels, weighted labels }, a label as { name, comparator, text, number or false, weight }.
local POOL = 'default'

local function pool_of(group) return string.match(group, '^[^|]*|[^|]*|(.*)$') or POOL end

-- The worker whose own group it is; nil for all others.
local function owner_of(group) return string.match(group, '^[^|]*|=([^|]*)') end

-- Whether it is the own group of a worker that is gone for good.
local function is_gone(group) return owner_of(group) and call('HEXISTS', K.group(group), 'gone') == 1 end

-- Slots that one attempt takes: a part of the name, so that matching can pass over a flow unread.
local function cost_of(flow)
  return tonumber(string.match(flow, '^[^|]*|[^|]*|[^|]*|%x+x(%d+)$') or 1)
end

-- Each is read once in a call.
local demands = {}

-- The flow's demand, false for a plain one.
local function demand_of(flow)
  local known = demands[flow]
  if known == nil then
    known = false
    if string.find(flow, '^[^|]*|[^|]*|[^|]*|') then
      local kept = call('GET', K.demand(flow))
      if kept then
        local cost, pool, worker, hard, required, weighted = unpack(cmsgpack.unpack(kept))
        known = { cost = cost, pool = pool, worker = worker, hard = hard, required = required,
          weighted = weighted, soft = worker ~= '' and not hard }
      end
    end
    demands[flow] = known
  end
  return known
end

local NOT_EQUAL = 2

-- Comparators by number, as LabelComparator has them.
local function compares(comparator, a, b)
  if comparator == 1 then return a == b end
  if comparator == NOT_EQUAL then return a ~= b end
  if comparator == 3 then return a > b end
  if comparator == 4 then return a >= b end
  if comparator == 5 then return a < b end
  return a <= b
end

-- Whether a desired label holds for a worker's labels, { name → { text, number or false } }.
local function holds(desired, labels)
  local name, comparator, text, number = unpack(desired)
  local has = labels[name]
  if not has then return comparator == NOT_EQUAL end
  if number and has[2] then return compares(comparator, has[2], number) end
  return compares(comparator, has[1], text)
end
