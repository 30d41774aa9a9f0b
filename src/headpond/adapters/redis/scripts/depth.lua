-- ARGV: now. Returns how many are ready, leased and delayed, and when the oldest ready one was sent.

local due = redis.call('ZRANGE', hidden, '-inf', ARGV[1], 'BYSCORE')
local lapsed, oldest = 0, nil

local function look(number)
  if number and (not oldest or number < oldest) then
    oldest = number
  end
end

for _, number in ipairs(due) do
  lapsed = lapsed + redis.call('HEXISTS', leases, number)
  look(number)
end
for _, member in ipairs(redis.call('ZRANGE', turns, 0, -1)) do
  local place = string.sub(member, 1, 15)
  local range = redis.call('ZRANGE', ready, '[' .. place .. ':', '(' .. place .. ';', 'BYLEX', 'LIMIT', 0, 1)
  look(string.sub(range[1], 17))
end
local leased = redis.call('HLEN', leases) - lapsed
return {
  redis.call('ZCARD', ready) + #due,
  leased,
  redis.call('ZCARD', hidden) - #due - leased,
  oldest and exact(message_of(oldest).sent_at) or '',
}
