-- ARGV: now; then the tokens.

for index = 2, #ARGV do
  local number = held(ARGV[index], tonumber(ARGV[1]))
  if number then
    remove(number, message_of(number))
  end
end
