-- One use of something that may be used so many times, or one use given back.
-- KEYS: its name. ARGV: the act, how often, until when in milliseconds.
-- Says whether there was a use left.

local used = tonumber(redis.call('GET', KEYS[1]) or '0')
if ARGV[1] == 'back' then
  if used > 0 then redis.call('DECR', KEYS[1]) end
  return { 1 }
end
if used >= tonumber(ARGV[2]) then return { 0 } end
redis.call('INCR', KEYS[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return { 1 }
