-- Takes all amounts if they fit. Returns whether they did, and levels with their times.

local draws = read_draws()
local fits = true
for _, draw in ipairs(draws) do
  fits = fits and draw.amount <= draw.level
end
local levels = {}
for _, draw in ipairs(draws) do
  if fits then
    write(draw, draw.level - draw.amount)
  end
  table.insert(levels, {exact(draw.level), exact(draw.at)})
end
return {fits and 1 or 0, levels}
