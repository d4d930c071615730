-- Retry budgets: a bucket of tokens for each workflow that has one. A first attempt puts `ratio` in, a
-- retry takes one out. By itself the bucket comes nearer to `least` tokens, by the time constant of a
-- minute: what flows in and what the minute allows, no more, can flow out. budget: { ratio, least }.
local MINUTE = 60000

-- First attempts of this call, by bucket.
local deposits = {}

local function bucket_of(flow)
  local namespace, task = string.match(flow, '^([^|]*)|[^|]*|([^|]*)')
  return K.budget(namespace .. '|' .. task)
end

-- Adds so many tokens, or takes them away where there are as many. Returns whether it did.
local function change(bucket, budget, tokens)
  local least = budget[2]
  local f = call('HMGET', bucket, 'k', 't')
  -- A clock may have stepped back.
  local age = math.max(now - tonumber(f[2] or now), 0)
  local has = least + (tonumber(f[1] or least) - least) * math.exp(-age / MINUTE)
  if has + tokens < 0 then return false end
  call('HSET', bucket, 'k', string.format('%.6f', has + tokens), 't', now)
  call('PEXPIRE', bucket, 30 * MINUTE)
  return true
end

local function gather_deposit(flow, budget)
  local bucket = bucket_of(flow)
  local entry = deposits[bucket] or { budget = budget, tokens = 0 }
  entry.tokens = entry.tokens + budget[1]
  deposits[bucket] = entry
end

local function flush_deposits()
  for bucket, entry in pairs(deposits) do change(bucket, entry.budget, entry.tokens) end
  deposits = {}
end

local function deposit(flow, budget) change(bucket_of(flow), budget, budget[1]) end

local function withdraw(flow, budget) return change(bucket_of(flow), budget, -1) end
