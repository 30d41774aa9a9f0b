-- ARGV: number of the entry, its run, what was said. Returns whether the claim stands.

local seq, run = tonumber(ARGV[1]), tonumber(ARGV[2])
if not stands(run) then
  return 0
end
if seq == number_of('last') + 1 then
  raise(run)
  add(seq, ARGV[2], ARGV[3])
end
return 1
