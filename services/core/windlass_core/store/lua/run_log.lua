#!lua
-- Purpose: keeps lines that attempts logged, the last ones of each run.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: list of { run, lease, lines (msgpack'd one by one) }
-- Returns: msgpack: how many lines were kept
-- Invariants: needs the exact lease; not allowed when memory is full.
-- Cost:    O(1) per line
--!include keys
local call = redis.call
local kept = 0
for _, item in ipairs(cmsgpack.unpack(ARGV[1])) do
  local run, lease, lines = unpack(item)
  if call('HGET', K.run(run), 'L') == lease then
    for first = 1, #lines, 1000 do
      call('RPUSH', K.log(run), unpack(lines, first, math.min(first + 999, #lines)))
    end
    call('LTRIM', K.log(run), -LIMIT.LOG_LINES, -1)
    call('HINCRBY', K.run(run), 'll', #lines)
    kept = kept + #lines
  end
end
return cmsgpack.pack(kept)
