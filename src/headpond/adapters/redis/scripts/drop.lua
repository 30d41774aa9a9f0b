-- ARGV: now; then the tokens.

for index = 2, #ARGV do
  local number = held(ARGV[index], tonumber(ARGV[1]))
  if number then
    local message = message_of(number)
    refund(message)
    remove(number, message)
  end
end
