-- The token stream of a job. Runs before each script on it.
--
--   KEYS[1]   hash   run      the highest run that is known: a lower one can write nothing
--                    last     number of the last entry
--                    N        the entry of that number: its run, then what was said or nothing
--
-- The record lies elsewhere, so its version is brought along by whoever asks: it raises `run`. A
-- reader does so too, so what is read after a record was seen ended is all that there will be.

local function number_of(field)
  return tonumber(redis.call('HGET', KEYS[1], field) or 0)
end

-- Whether a run may write.
local function stands(run)
  return run >= number_of('run')
end

local function raise(run)
  if run > number_of('run') then
    redis.call('HSET', KEYS[1], 'run', run)
  end
end

local function add(seq, run, said)
  redis.call('HSET', KEYS[1], seq, run .. ' ' .. said, 'last', seq)
  redis.call('PUBLISH', KEYS[1], '')
end
