-- ARGV: now, most messages to hand out, until when they are leased, nonce of the receipt, most
-- messages to make ready.
-- Returns numbers, messages, and when the next hidden one becomes ready, if there is one.

local now, limit, leased_until, nonce = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

-- Leases that lapsed and delays that passed.
local function promote()
  local due = redis.call('ZRANGE', hidden, '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[5])
  table.sort(due)
  for _, number in ipairs(due) do
    local message = message_of(number)
    if redis.call('HDEL', leases, number) == 1 then
      count(message, 1)
    end
    put(number, message.team, '')
  end
end

-- The teams in turn, a few at a time: often the first one has all that is wanted.
local function teams_in_turn()
  local page, at, offset = {}, 1, 0
  return function()
    if at > #page then
      page = redis.call('ZRANGE', turns, offset, offset + 15, 'WITHSCORES')
      at, offset = 1, offset + 16
    end
    at = at + 2
    return page[at - 2] and {member = page[at - 2], tag = tonumber(page[at - 1])}
  end
end

-- The ready message of a team that comes after the one of that name.
local function after(team, name)
  local place = string.sub(team.member, 1, 15)
  local from = name and '(' .. name or '[' .. place .. ':'
  return redis.call('ZRANGE', ready, from, '(' .. place .. ';', 'BYLEX', 'LIMIT', 0, 1)[1]
end

-- Behind all of its tag.
local function queue_up(queued, team)
  local at = #queued
  while at > 0 and queued[at].tag > team.tag do
    at = at - 1
  end
  table.insert(queued, at + 1, team)
end

-- As take_turns of domain/fairness.py. Returns the chosen, the teams that had a turn, the last tag.
local function choose()
  local chosen, had_turn, queued, last_tag = {}, {}, {}, 0
  local others = teams_in_turn()
  local other = others()
  while #chosen < limit and (#queued > 0 or other) do
    if other and (#queued == 0 or other.tag <= queued[1].tag) then
      queue_up(queued, other)
      other = others()
    else
      local team = table.remove(queued, 1)
      local name = after(team, team.last)
      had_turn[team.member] = team
      if name then
        local number = string.sub(name, 17)
        local body = redis.call('HGET', messages, number)
        local message = cjson.decode(body)
        last_tag = team.tag
        team.tag, team.last = team.tag + charge_of(message), name
        table.insert(chosen, {name = name, number = number, body = body, message = message})
        queue_up(queued, team)
      end
    end
  end
  return chosen, had_turn, last_tag
end

local function charge_all(had_turn)
  for member, team in pairs(had_turn) do
    if after(team) then
      redis.call('ZADD', turns, exact(team.tag), member)
    else
      redis.call('ZREM', turns, member)
      redis.call('ZADD', idle, exact(team.tag), member)
    end
  end
end

-- A team that is idle and not ahead is like a new one.
local function advance(tag)
  tag = math.max(tag, virtual_time())
  redis.call('HSET', lane, 'virtual_time', exact(tag))
  for _, member in ipairs(redis.call('ZRANGE', idle, '-inf', exact(tag), 'BYSCORE')) do
    redis.call('ZREM', idle, member)
    redis.call('HDEL', teams, string.sub(member, 17))
  end
end

promote()
local chosen, had_turn, last_tag = choose()
local numbers, bodies = {}, {}
for _, each in ipairs(chosen) do
  count(each.message, -1)
  redis.call('ZREM', ready, each.name)
  redis.call('HSET', leases, each.number, nonce)
  redis.call('ZADD', hidden, leased_until, each.number)
  table.insert(numbers, each.number)
  table.insert(bodies, each.body)
end
charge_all(had_turn)
if #chosen > 0 then
  advance(last_tag)
end
return {numbers, bodies, redis.call('ZRANGE', hidden, 0, 0, 'WITHSCORES')[2] or ''}
