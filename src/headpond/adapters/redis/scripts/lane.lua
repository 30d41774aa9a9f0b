-- A lane of messages, and what every script of the queue does to it. Runs before each of them.
--
-- All keys of a lane have the lane as their hash tag, so that a cluster keeps them on one node:
--
--   lane      hash   last number given, last place given, virtual time
--   messages  hash   number -> the message as JSON, with the time at which it was sent
--   ready     zset   place:number, all of score 0: the ready messages of a team are a range of names
--   hidden    zset   number, by the time until which it is leased or delayed
--   leases    hash   number -> nonce of the receipt; a hidden message without one is delayed
--   turns     zset   place:team, by tag: the teams that have a message ready
--   idle      zset   place:team, by tag: other teams whose tag may be ahead of the virtual time
--   teams     hash   team -> place: those of both
--   jobs      hash   team -> how many of its messages are in nobody's hands
--   tokens    hash   team -> the token work of these
--   tickets   hash   ticket -> how many messages have it
--
-- A message is in `ready` or in `hidden`, and in `messages` and `tickets` in any case, until it is
-- acknowledged. A time that has passed makes nothing ready by itself: receiving does, so a clock
-- that jumps back hides nothing again. Shares are those of domain/fairness.py; of equal tags the
-- lower place goes first: the team that came first. Numbers and places have fifteen digits, so
-- that their order as text is their order.

local lane, messages, ready, hidden, leases, turns, idle, teams, jobs, tokens, tickets =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]

local function padded(number)
  return string.format('%015.0f', number)
end

-- Lua's own form of a number would lose digits.
local function exact(number)
  return string.format('%.17g', number)
end

local function virtual_time()
  return tonumber(redis.call('HGET', lane, 'virtual_time') or 0)
end

local function message_of(number)
  return cjson.decode(redis.call('HGET', messages, number))
end

local function charge_of(message)
  return math.max(1, message.work_tokens) / message.weight
end

-- Counts a message of a team in or out, and forgets what has come to nothing.
local function count(message, by)
  -- Redis takes no -0, which a message without work would make of by.
  redis.call('HINCRBY', tokens, message.team, by * message.work_tokens + 0)
  if redis.call('HINCRBY', jobs, message.team, by) == 0 then
    redis.call('HDEL', jobs, message.team)
    redis.call('HDEL', tokens, message.team)
  end
end

local function place_of(team)
  local place = redis.call('HGET', teams, team)
  if not place then
    place = padded(redis.call('HINCRBY', lane, 'places', 1))
    redis.call('HSET', teams, team, place)
  end
  return place
end

local function make_ready(number, team)
  local place = place_of(team)
  local member = place .. ':' .. team
  if not redis.call('ZSCORE', turns, member) then
    local now = virtual_time()
    local tag = math.max(tonumber(redis.call('ZSCORE', idle, member) or now), now)
    redis.call('ZREM', idle, member)
    redis.call('ZADD', turns, exact(tag), member)
  end
  redis.call('ZADD', ready, 0, place .. ':' .. number)
end

-- Hidden until then; ready in its old place where that is no time.
local function put(number, team, hidden_until)
  if hidden_until == '' then
    redis.call('ZREM', hidden, number)
    make_ready(number, team)
  else
    redis.call('ZADD', hidden, hidden_until, number)
  end
end

-- The number of a message whose lease holds.
local function held(token, now)
  local number, nonce = string.match(token, '^(%d+)%.(%x+)$')
  if redis.call('HGET', leases, number) ~= nonce then
    return nil
  end
  return tonumber(redis.call('ZSCORE', hidden, number)) > now and number or nil
end

-- Takes back what the message was charged when it was handed out.
local function refund(message)
  local place = redis.call('HGET', teams, message.team)
  local member = place and place .. ':' .. message.team
  for _, key in ipairs({turns, idle}) do
    if place and redis.call('ZSCORE', key, member) then
      redis.call('ZINCRBY', key, exact(-charge_of(message)), member)
    end
  end
end

local function remove(number, message)
  redis.call('HDEL', messages, number)
  redis.call('ZREM', hidden, number)
  redis.call('HDEL', leases, number)
  if redis.call('HINCRBY', tickets, message.ticket, -1) <= 0 then
    redis.call('HDEL', tickets, message.ticket)
  end
end

-- Wakes whoever waits for the lane, in whatever process.
local function tell()
  redis.call('PUBLISH', lane, '')
end
