-- now: the store's time in milliseconds since 1970 UTC. Nothing else tells the time in scripts.
local call = redis.call
local stamp = call('TIME')
local now = tonumber(stamp[1]) * 1000 + math.floor(tonumber(stamp[2]) / 1000)
