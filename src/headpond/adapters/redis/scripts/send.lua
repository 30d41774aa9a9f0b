-- ARGV: until when they are hidden, or nothing; then the messages. One whose ticket is here is sent
-- again, as when an answer gets lost: of two, each would pass for the other's lapsed lease.

for index = 2, #ARGV do
  local message = cjson.decode(ARGV[index])
  if redis.call('HEXISTS', tickets, message.ticket) == 0 then
    local number = padded(redis.call('HINCRBY', lane, 'last', 1))
    redis.call('HSET', messages, number, ARGV[index])
    redis.call('HINCRBY', tickets, message.ticket, 1)
    count(message, 1)
    put(number, message.team, ARGV[1])
  end
end
tell()
