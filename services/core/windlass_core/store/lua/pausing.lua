-- Pauses: gates that people close and open. Needs `lanes`.

-- What is paused, by namespace: the gates, or false; read once in a call.
local paused = {}

local function paused_in(namespace)
  local gates = false
  for _, gate in ipairs(call('SMEMBERS', K.paused(namespace))) do
    gates = gates or {}
    gates[gate] = true
  end
  return gates
end

-- The gate of a pause that holds the flow back, or nil.
local function pause_of(flow)
  local namespace = namespace_of(flow)
  if paused[namespace] == nil then paused[namespace] = paused_in(namespace) end
  local shut = paused[namespace]
  if not shut then return nil end
  local queue, workflow = string.match(flow, '^[^|]*|([^|]*)|([^|]*)')
  for _, gate in ipairs({ 'workflow:' .. namespace .. '|' .. workflow, 'queue:' .. namespace .. '|' .. queue }) do
    if shut[gate] then return gate end
  end
  return nil
end
