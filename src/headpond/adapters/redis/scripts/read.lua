-- ARGV: version of the record, after which number, most entries.
-- Returns entries, each behind its number. Numbers that were lost are left out.

local after, last = tonumber(ARGV[2]), number_of('last')
if redis.call('EXISTS', KEYS[1]) == 1 then
  raise(tonumber(ARGV[1]))
end
local entries, seq = {}, after
while seq < last and #entries < 2 * tonumber(ARGV[3]) do
  seq = seq + 1
  local entry = redis.call('HGET', KEYS[1], seq)
  if entry then
    table.insert(entries, seq)
    table.insert(entries, entry)
  end
end
return entries
