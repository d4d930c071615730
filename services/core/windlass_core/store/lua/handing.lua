-- Handing over: attempts reach workers by the inboxes of the dispatchers that have their streams.

-- One entry for all that a worker gets in a call, in the order in which they came to get any; by worker too.
local handed, entry_of = {}, {}

local function hand(worker, seat, attempts)
  local entry = entry_of[worker]
  if not entry then
    entry = { 'assign', worker, seat.session, {} }
    handed[#handed + 1] = { inbox = K.inbox(seat.dispatcher), entry = entry }
    entry_of[worker] = entry
  end
  for _, attempt in ipairs(attempts) do table.insert(entry[4], attempt) end
end

local function hand_over()
  for _, each in ipairs(handed) do call('RPUSH', each.inbox, cmsgpack.pack(each.entry)) end
  handed, entry_of = {}, {}
end
