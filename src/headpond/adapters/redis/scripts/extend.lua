-- ARGV: now, until when they are leased; then the tokens. Returns those whose lease was held.

local kept = {}
for index = 3, #ARGV do
  local number = held(ARGV[index], tonumber(ARGV[1]))
  if number then
    redis.call('ZADD', hidden, ARGV[2], number)
    table.insert(kept, ARGV[index])
  end
end
return kept
