-- Token buckets of a team, as domain/ratelimit.py has them. Runs before each script on them.
--
--   KEYS[1]   hash   unit:limit -> level and the time at which it was that
--
-- A bucket that is not there is full, and every bucket is full a minute after it was last drawn from:
-- then the key goes.
--
-- ARGV: now; then for each draw: its field, the limit of a minute, the amount.

local WINDOW_S = 60
local KEEP_S = 2 * WINDOW_S

local now = tonumber(ARGV[1])

local function exact(number)
  return string.format('%.17g', number)
end

-- At what time the bucket stands. A clock that is behind another gateway's adds nothing and takes
-- nothing back; one that is far behind has jumped, or the other had.
local function moment(at)
  if now > at or at - now > WINDOW_S then
    return now
  end
  return at
end

local function read_draws()
  local draws = {}
  for index = 2, #ARGV, 3 do
    local draw = {field = ARGV[index], limit = tonumber(ARGV[index + 1]), amount = tonumber(ARGV[index + 2])}
    local level, at = string.match(redis.call('HGET', KEYS[1], draw.field) or '', '^(%S+) (%S+)$')
    draw.level, draw.at = tonumber(level or draw.limit), tonumber(at or now)
    local gained = math.max(0, now - draw.at) * draw.limit / WINDOW_S
    draw.level, draw.at = math.min(draw.limit, draw.level + gained), moment(draw.at)
    table.insert(draws, draw)
  end
  return draws
end

local function write(draw, level)
  draw.level = level
  if draw.amount > 0 then
    redis.call('HSET', KEYS[1], draw.field, exact(draw.level) .. ' ' .. exact(draw.at))
    redis.call('EXPIRE', KEYS[1], KEEP_S)
  end
end
