#!lua flags=allow-oom
-- Purpose: ends tokens, and has every process that may know them told at once.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, ms for which they are kept, tokens }
-- Returns: msgpack: for each 'revoked', 'already' or 'unknown'
-- Invariants: a token of another namespace is unknown; the first revocation counts.
-- Cost:    O(tokens + live processes)
--!include keys
--!include time
local function living(service) return call('ZRANGE', K.presence(service), now, '+inf', 'BYSCORE') end

local namespace, kept, tokens = unpack(cmsgpack.unpack(ARGV[1]))
local outcomes, revoked = {}, {}
for place, token in ipairs(tokens) do
  local t = call('HMGET', K.token(token), 'ns', 'rv')
  if t[1] ~= namespace then
    outcomes[place] = 'unknown'
  elseif t[2] then
    outcomes[place] = 'already'
  else
    outcomes[place] = 'revoked'
    revoked[#revoked + 1] = token
    call('HSET', K.token(token), 'rv', now)
    call('PEXPIREAT', K.token(token), now + kept)
  end
end
if #revoked > 0 then
  local note = cmsgpack.pack({ 'revoked', revoked })
  for _, inc in ipairs(living('api')) do call('RPUSH', K.outbox(inc), note) end
  for _, inc in ipairs(living('dispatcher')) do call('RPUSH', K.inbox(inc), note) end
end
return cmsgpack.pack(outcomes)
