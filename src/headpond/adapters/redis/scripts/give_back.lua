-- ARGV: now, until when they are hidden, or nothing; then the tokens.

for index = 3, #ARGV do
  local number = held(ARGV[index], tonumber(ARGV[1]))
  if number then
    local message = message_of(number)
    refund(message)
    redis.call('HDEL', leases, number)
    count(message, 1)
    put(number, message.team, ARGV[2])
  end
end
tell()
