-- ARGV: until when they are hidden, or nothing; then the messages.

for index = 2, #ARGV do
  local message = cjson.decode(ARGV[index])
  local number = padded(redis.call('HINCRBY', lane, 'last', 1))
  redis.call('HSET', messages, number, ARGV[index])
  redis.call('HINCRBY', tickets, message.ticket, 1)
  count(message, 1)
  put(number, message.team, ARGV[1])
end
tell()
