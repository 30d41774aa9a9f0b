-- ARGV: now. Returns teams with jobs and token work, each in nobody's hands; then the messages whose
-- lease has lapsed, which nobody has looked at yet.

local waiting, lapsed = {}, {}
for _, team in ipairs(redis.call('HKEYS', jobs)) do
  table.insert(waiting, {team, redis.call('HGET', jobs, team), redis.call('HGET', tokens, team)})
end
for _, number in ipairs(redis.call('ZRANGE', hidden, '-inf', ARGV[1], 'BYSCORE')) do
  if redis.call('HEXISTS', leases, number) == 1 then
    table.insert(lapsed, redis.call('HGET', messages, number))
  end
end
return {waiting, lapsed}
