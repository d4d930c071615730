#!lua
-- Purpose: keeps lines that attempts logged, the last ones of each run.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: list of { run, lease, lines (msgpack'd one by one) }
-- Returns: msgpack: how many lines were kept
-- Invariants: needs the exact lease; not allowed when memory is full; of a run no more lines and
--            bytes than the limits, and its last line.
-- Cost:    O(1) per line
--!include keys
local call = redis.call
--!include telling
local kept = 0

-- Drops the oldest lines over the limits. Gives how many bytes are left of `bytes`.
local function trim(run, length, bytes)
  if length > LIMIT.LOG_LINES then
    for _, line in ipairs(call('LPOP', K.log(run), length - LIMIT.LOG_LINES)) do bytes = bytes - #line end
    length = LIMIT.LOG_LINES
  end
  while bytes > LIMIT.LOG_BYTES and length > 1 do
    bytes = bytes - #call('LPOP', K.log(run))
    length = length - 1
  end
  return bytes
end

for _, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  local run, lease, lines = unpack(item)
  local f = call('HMGET', K.run(run), 'L', 'lb', 'fw')
  if f[1] == lease and #lines > 0 then
    local length, bytes = 0, tonumber(f[2] or 0)
    for first = 1, #lines, 1000 do
      length = call('RPUSH', K.log(run), unpack(lines, first, math.min(first + 999, #lines)))
    end
    for _, line in ipairs(lines) do bytes = bytes + #line end
    call('HSET', K.run(run), 'lb', trim(run, length, bytes))
    call('HINCRBY', K.run(run), 'll', #lines)
    gather_moved(run, f[3])
    kept = kept + #lines
  end
end
tell_gathered()
return cmsgpack.pack(kept)
