-- ARGV: the run. Returns the number of the last entry, -1 if the claim has fallen.

local run = tonumber(ARGV[1])
if not stands(run) then
  return -1
end
raise(run)
local last = number_of('last')
local entry = redis.call('HGET', KEYS[1], last)
if entry and not string.match(entry, '^%d+ $') then
  last = last + 1
  add(last, ARGV[1], '')
end
return last
