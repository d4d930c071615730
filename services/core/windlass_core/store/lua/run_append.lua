#!lua
-- Purpose: adds what attempts say to the logs, or to the streams, of their runs; keeps the last entries of each.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { 'log' or 'stream', list of { run, lease, entries (msgpack'd one by one), first } };
--            first: how many entries the attempt has sent before these; false where nobody counts them
-- Returns: msgpack: for each, how many entries of the attempt have been kept by now: less than first where
--            some are missing before these; of entries that nobody counts, how many came now; false where
--            the lease is not the run's
-- Invariants: needs the exact lease; not allowed when memory is full; of a run no more entries and bytes than
--            the limits, and its last entry; of counted ones none twice and none without those before it.
-- Cost:    O(1) per entry
--!include keys
--!include entries
local call = redis.call
--!include telling
local kind, items = unpack(cmsgpack.unpack(ARGV[1]))
local of = ENTRIES[kind]

-- Drops the oldest entries over the limits. Gives how many bytes are left of `bytes`.
local function trim(run, length, bytes)
  if length > of.most then
    for _, entry in ipairs(call('LPOP', of.key(run), length - of.most)) do bytes = bytes - #entry end
    length = of.most
  end
  while bytes > of.most_bytes and length > 1 do
    bytes = bytes - #call('LPOP', of.key(run))
    length = length - 1
  end
  return bytes
end

local function add(run, entries, bytes, followed)
  local length = 0
  for first = 1, #entries, 1000 do
    length = call('RPUSH', of.key(run), unpack(entries, first, math.min(first + 999, #entries)))
  end
  for _, entry in ipairs(entries) do bytes = bytes + #entry end
  call('HSET', K.run(run), of.bytes, trim(run, length, bytes))
  call('HINCRBY', K.run(run), of.written, #entries)
  gather_moved(run, followed)
end

-- How many entries the attempt has had kept so far. Of a run, its last attempt that sent any is remembered.
local function taken_of(run, lease)
  local counted = call('HGET', K.run(run), 'sn')
  if not counted then return 0 end
  local under, taken = unpack(cmsgpack.unpack(counted))
  return under == lease and taken or 0
end

local function append(run, lease, entries, first)
  local f = call('HMGET', K.run(run), 'L', of.bytes, 'fw')
  if f[1] ~= lease then return false end
  local fresh, taken = entries, #entries
  if first then
    taken = taken_of(run, lease)
    if first > taken or first + #entries <= taken then return taken end
    fresh = {}
    for place = taken - first + 1, #entries do fresh[#fresh + 1] = entries[place] end
    taken = first + #entries
    call('HSET', K.run(run), 'sn', cmsgpack.pack({ lease, taken }))
  end
  if #fresh > 0 then add(run, fresh, tonumber(f[2] or 0), f[3]) end
  return taken
end

local kept = {}
for place, item in ipairs(items) do kept[place] = append(unpack(item)) end
tell_gathered()
return cmsgpack.pack(kept)
