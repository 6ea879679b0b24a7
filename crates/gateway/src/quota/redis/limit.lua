-- All acts of limits on the counts of one subject, by the server's own clock.
-- KEYS: for each limit the count, and what was used by day; all of one hash tag.
-- ARGV: the act, then eight for each limit: kind, a, b, c, need, want, place, tick.
-- It gives back five numbers for each limit: taken, left, reset and wait in
-- milliseconds (-1: never by itself), and the period. Numbers stay below 2^53.

local time = redis.call('TIME')
local us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local ms = math.floor(us / 1000)
local DAY = 86400000
local day = math.floor(ms / DAY)
local PIECES = 60
-- How long a place is kept for a gateway that does not ask for it again.
local PLACE = 30000000

local function int(x) return string.format('%.0f', x) end

local function month_of(d)
  local s = d + 719468
  local era = math.floor(s / 146097)
  local e = s - era * 146097
  local y = math.floor((e - math.floor(e / 1460) + math.floor(e / 36524) - math.floor(e / 146096)) / 365)
  local n = e - (365 * y + math.floor(y / 4) - math.floor(y / 100))
  return (era * 400 + y) * 12 + math.floor((5 * n + 2) / 153) + 2
end

local function first_of(m)
  local s = m - 2
  local years = math.floor(s / 12)
  local month = s - years * 12
  local era = math.floor(years / 400)
  local y = years - era * 400
  local n = math.floor((153 * month + 2) / 5)
  return era * 146097 + y * 365 + math.floor(y / 4) - math.floor(y / 100) + n - 719468
end

local function period(word)
  if word == 'hour' then
    local n = math.floor(ms / 3600000)
    return n, (n + 1) * 3600000
  elseif word == 'day' then
    return day, (day + 1) * DAY
  elseif word == 'week' then
    local n = math.floor((day + 3) / 7)
    return n, ((n + 1) * 7 - 3) * DAY
  elseif word == 'month' then
    local n = month_of(day)
    return n, first_of(n + 1) * DAY
  end
  local n = math.floor(month_of(day) / 12)
  return n, first_of((n + 1) * 12) * DAY
end

-- Each kind says how it stands: what is left, and what it has to know again.
local look = {}

function look.rate(key, l)
  local earned = tonumber(redis.call('GET', key) or '0')
  local debt = math.max(earned - us, 0)
  local left = math.max(math.floor((l.b * l.a - debt) / l.a), 0)
  return { left = left, debt = debt, tick = 0 }
end

function look.quota(key, l)
  local now, finish = period(l.b)
  local kept = redis.call('HMGET', key, 'p', 'u')
  local p, u = tonumber(kept[1] or '-1'), tonumber(kept[2] or '0')
  -- A clock that jumps back gives nobody a period twice.
  if p < now then p, u = now, 0 end
  return { left = math.max(l.a - u, 0), used = u, tick = p, finish = finish }
end

function look.rolling(key, l)
  local now = math.floor(ms / l.b)
  local kept = redis.call('HGETALL', key)
  local used, pieces = 0, {}
  for i = 1, #kept, 2 do
    local at = tonumber(kept[i])
    if at < now - PIECES then
      redis.call('HDEL', key, kept[i])
    else
      used = used + tonumber(kept[i + 1])
      pieces[#pieces + 1] = { at, tonumber(kept[i + 1]) }
    end
  end
  table.sort(pieces, function(x, y) return x[1] < y[1] end)
  local tick = now
  if #pieces > 0 and pieces[#pieces][1] > now then tick = pieces[#pieces][1] end
  return { left = math.max(l.a - used, 0), pieces = pieces, tick = tick }
end

function look.credits(key, l)
  local now = math.floor(ms / l.c)
  local kept = redis.call('HMGET', key, 'b', 't')
  local b, t = tonumber(kept[1] or int(l.a)), tonumber(kept[2] or int(now))
  if t < now then
    b, t = b + (now - t) * l.b, now
  end
  return { left = math.min(b, l.a), tick = t }
end

function look.open(key, l)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', int(us))
  return { left = math.max(l.a - redis.call('ZCARD', key), 0), tick = 0 }
end

local function reset(l, s)
  if l.kind == 'rate' then return math.ceil(s.debt / 1000) end
  if l.kind == 'quota' then return math.max(s.finish - ms, 0) end
  if l.kind == 'rolling' then
    if #s.pieces == 0 then return 0 end
    return math.max((s.pieces[1][1] + PIECES + 1) * l.b - ms, 0)
  end
  if l.kind == 'credits' and l.b > 0 then return (s.tick + 1) * l.c - ms end
  return -1
end

local function wait(l, s)
  if l.kind == 'rate' then
    if l.need > l.b then return -1 end
    return math.max(math.ceil((s.debt + l.need * l.a - l.b * l.a) / 1000), 0)
  end
  if l.need > l.a then return -1 end
  local missing = l.need - s.left
  if l.kind == 'rolling' then
    for _, piece in ipairs(s.pieces) do
      missing = missing - piece[2]
      if missing <= 0 then return math.max((piece[1] + PIECES + 1) * l.b - ms, 0) end
    end
    return -1
  end
  if l.kind == 'credits' then
    if l.b == 0 then return -1 end
    return (s.tick + math.ceil(missing / l.b)) * l.c - ms
  end
  if l.kind == 'open' then return 1000 end
  return reset(l, s)
end

-- Writes what a count is after so much more of it was used.
local function write(key, l, s, amount)
  if l.kind == 'rate' then
    s.debt = math.max(s.debt + amount * l.a, 0)
    s.left = math.max(math.floor((l.b * l.a - s.debt) / l.a), 0)
    if s.debt == 0 then redis.call('DEL', key)
    else redis.call('SET', key, int(us + s.debt), 'PX', int(math.ceil(s.debt / 1000) + 1000)) end
  elseif l.kind == 'quota' then
    s.used = math.max(s.used + amount, 0)
    s.left = math.max(l.a - s.used, 0)
    redis.call('HSET', key, 'p', int(s.tick), 'u', int(s.used))
    redis.call('PEXPIREAT', key, int(s.finish + DAY))
  elseif l.kind == 'rolling' then
    redis.call('HINCRBY', key, int(s.tick), int(amount))
    redis.call('PEXPIRE', key, int((PIECES + 2) * l.b))
    if #s.pieces == 0 then s.pieces = { { s.tick, amount } } end
    s.left = math.max(s.left - amount, 0)
  elseif l.kind == 'credits' then
    s.left = math.min(math.max(s.left - amount, 0), l.a)
    redis.call('HSET', key, 'b', int(s.left), 't', int(s.tick))
    -- Without a refill it has to be there for good.
    if l.b == 0 then redis.call('PERSIST', key)
    else redis.call('PEXPIRE', key, int((math.ceil((l.a - s.left) / l.b) + 1) * l.c + DAY)) end
  end
end

local function note(key, amount)
  local used = redis.call('HINCRBY', key, int(day), int(amount))
  if used < 0 then redis.call('HSET', key, int(day), '0') end
  redis.call('PEXPIRE', key, int(31 * DAY))
  if redis.call('HLEN', key) > 40 then
    for _, field in ipairs(redis.call('HKEYS', key)) do
      if tonumber(field) <= day - 30 then redis.call('HDEL', key, field) end
    end
  end
end

local act = ARGV[1]
local all, out, enough = {}, {}, true
for i = 1, #KEYS / 2 do
  local at = 2 + (i - 1) * 8
  local l = {
    kind = ARGV[at], a = tonumber(ARGV[at + 1]), b = tonumber(ARGV[at + 2]) or ARGV[at + 2],
    c = tonumber(ARGV[at + 3]), need = tonumber(ARGV[at + 4]), want = tonumber(ARGV[at + 5]),
    place = ARGV[at + 6], tick = tonumber(ARGV[at + 7]),
  }
  local s = look[l.kind](KEYS[i * 2 - 1], l)
  if s.left < l.need then enough = false end
  all[i] = { l, s }
end

if act == 'renew' then
  redis.call('ZADD', KEYS[1], 'XX', int(us + PLACE), all[1][1].place)
  redis.call('PEXPIRE', KEYS[1], int(PLACE / 500))
  return { 0 }
elseif act == 'leave' then
  redis.call('ZREM', KEYS[1], all[1][1].place)
  return { 0 }
end

for i, both in ipairs(all) do
  local l, s, key = both[1], both[2], KEYS[i * 2 - 1]
  local taken = 0
  if act == 'back' then
    local still = l.kind == 'rate' or l.kind == 'credits' or s.tick == l.tick
    if l.kind == 'rolling' then
      still = redis.call('HEXISTS', key, int(l.tick)) == 1
      s.tick = l.tick
    end
    if still then write(key, l, s, -l.want) end
    note(KEYS[i * 2], -l.want)
  elseif act == 'take' and enough then
    taken = math.min(l.want, s.left)
    if l.kind == 'open' then
      redis.call('ZADD', key, int(us + PLACE), l.place)
      redis.call('PEXPIRE', key, int(PLACE / 500))
      s.left = s.left - 1
    else
      write(key, l, s, taken)
    end
    note(KEYS[i * 2], taken)
  end
  local more = -1
  if act == 'take' and not enough and s.left < l.need then more = wait(l, s) end
  for _, number in ipairs({ taken, s.left, reset(l, s), more, s.tick }) do
    out[#out + 1] = number
  end
end

if act == 'look' then
  for _, part in ipairs(redis.call('HGETALL', KEYS[2])) do out[#out + 1] = tonumber(part) end
end
return out
