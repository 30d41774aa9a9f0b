-- Gives the amounts back; no bucket gets more than full.

for _, draw in ipairs(read_draws()) do
  write(draw, math.min(draw.limit, draw.level + draw.amount))
end
