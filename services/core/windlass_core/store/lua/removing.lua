-- Deleting an ended run with all that belongs to it. Needs `lanes`, `flows`, `idempotency` and `hooks`; its
-- caller ends with count_gathered and settle_hooks. Its entry in the list of the ended may stay: by then it is nobody's.
-- key: the idempotency key that goes with it, if any.
local function remove(run, flow, parent, key)
  local namespace = namespace_of(flow)
  call('ZREM', K.runs_by_time(namespace), run)
  call('ZREM', K.failed_by_time(namespace), run)
  forgo_hook(run)
  -- Of many children the server frees the memory later.
  call('UNLINK', K.run(run), K.failures(run), K.waiters(run), K.followers(run), K.children(run), K.log(run),
    K.stream(run))
  if parent then call('SREM', K.children(parent), run) end
  if key then free_key(run, key) end
  gather_kept(flow, -1)
end
