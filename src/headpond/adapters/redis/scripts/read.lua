-- ARGV: version of the record, after which number, most entries.

local after, last = tonumber(ARGV[2]), number_of('last')
if redis.call('EXISTS', KEYS[1]) == 1 then
  raise(tonumber(ARGV[1]))
end
local entries = {}
for seq = after + 1, math.min(last, after + tonumber(ARGV[3])) do
  table.insert(entries, redis.call('HGET', KEYS[1], seq))
end
return entries
