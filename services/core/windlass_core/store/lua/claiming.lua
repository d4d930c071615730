-- What becomes of a submit with an idempotency key that another run has. Needs `wake`,
-- `lanes`, `flows`, `cancelling` and `idempotency`.

-- The other run may be among what this batch has made ready: it has to be in its lane by then.
local function replace(holder, run)
  count_gathered()
  for group in pairs(push_gathered()) do mark_dirty(group) end
  cancel(holder, 'replaced by run ' .. run .. ', which has its idempotency key')
end

-- claim: { key, digest of the content, window ms or 0: until the run has ended, 'same' | 'reject' | 'return' |
-- 'replace': what a run in the way means }. Returns nil where the key can be taken.
local function contest(run, claim)
  local key, content, _, on_conflict = unpack(claim)
  local holder, of_holder = holder_of(key)
  if not holder then return nil end
  if on_conflict == 'replace' then
    replace(holder, run)
    return nil
  end
  local same = on_conflict == 'return' or on_conflict == 'same' and content == of_holder
  return { same and 'existing' or 'conflict', holder }
end
