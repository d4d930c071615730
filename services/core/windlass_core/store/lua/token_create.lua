#!lua
-- Purpose: stores a token, by its hash; forgets those of the namespace that ended long ago.
-- KEYS:    1 prefix of the shard
-- ARGV:    1 msgpack: { namespace, token, hash, name, scopes, ms until it expires, or 0,
--            ms for which it is kept after its end }
-- Returns: msgpack: { created ms, expires ms or 0 }, or {} where there is such a token
-- Invariants: a token that exists is not changed; not allowed when memory is full.
-- Cost:    O(tokens of the namespace)
--!include keys
--!include time
local namespace, token, hash, name, scopes, ttl, kept = unpack(cmsgpack.unpack(ARGV[1]))
if call('EXISTS', K.token(token)) == 1 then return cmsgpack.pack({}) end
for _, known in ipairs(call('ZRANGE', K.tokens(namespace), 0, -1)) do
  if call('EXISTS', K.token(known)) == 0 then call('ZREM', K.tokens(namespace), known) end
end
local expires = ttl > 0 and now + ttl or 0
call('HSET', K.token(token), 'h', hash, 'ns', namespace, 'name', name, 'sc', scopes, 'c', now, 'x', expires)
if ttl > 0 then call('PEXPIREAT', K.token(token), expires + kept) end
call('ZADD', K.tokens(namespace), now, token)
return cmsgpack.pack({ now, expires })
