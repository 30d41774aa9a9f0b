-- ARGV: number of the entry, its run, what was said.
-- Returns 1 if it is there, 0 if the claim has fallen, -1 if entries before it were lost: then what
-- was said is declared void under its number, and nothing of it must follow.

local seq, run, last = tonumber(ARGV[1]), tonumber(ARGV[2]), number_of('last')
if not stands(run) then
  return 0
end
if seq == last + 1 then
  raise(run)
  add(seq, ARGV[2], ARGV[3])
elseif seq > last then
  raise(run)
  add(seq, ARGV[2], '')
end
return redis.call('HGET', KEYS[1], seq) == ARGV[2] .. ' ' .. ARGV[3] and 1 or -1
