-- ARGV: tickets. Returns those that no message of the lane has.

local missing = {}
for _, ticket in ipairs(ARGV) do
  if redis.call('HEXISTS', tickets, ticket) == 0 then
    table.insert(missing, ticket)
  end
end
return missing
