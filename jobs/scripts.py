"""The atomic steps of the queue, as Lua: jobs enter, jobs leave.

All take a batch, because a round trip costs more than a job. They travel as EVAL with their full
text: it is small beside a picture, and a restarted Redis needs nothing loaded first.

A job's record is a string. Open: `o<lane> <kind> <stream entry>`. Closed: `c<id> <outcome>`.
Only an open record can be closed: that is what makes results exactly-once.
"""

from __future__ import annotations

# KEYS  each of n lanes, the counter of what finished in each, then each job's record
# ARGV  n, seconds to keep a job, reply channel, the bound of each lane,
#       then for each job: lane (1 to n), the lane's name, job id, kind, payload
# Returns {depth of each lane, counter of each, then of each job 1 (entered) or 0 (full)}.
# A record that exists means that this is a retry of a submission whose answer was lost.
SUBMIT = """
local n, answer, depth = tonumber(ARGV[1]), {}, {}
for i = 1, n do
  depth[i] = redis.call('XLEN', KEYS[i])
  answer[n + i] = tonumber(redis.call('GET', KEYS[n + i]) or 0)
end
for i = 1, #KEYS - 2 * n do
  local a, record = 3 + n + (i - 1) * 5, KEYS[2 * n + i]
  local lane = tonumber(ARGV[a + 1])
  answer[2 * n + i] = 1
  if redis.call('EXISTS', record) == 0 then
    if depth[lane] >= tonumber(ARGV[3 + lane]) then
      answer[2 * n + i] = 0
    else
      local entry = redis.call('XADD', KEYS[lane], '*',
                               'job', ARGV[a + 3], 'kind', ARGV[a + 4],
                               'reply', ARGV[3], 'data', ARGV[a + 5])
      redis.call('SET', record, 'o' .. ARGV[a + 2] .. ' ' .. ARGV[a + 4] .. ' ' .. entry,
                 'EX', ARGV[2])
      depth[lane] = depth[lane] + 1
    end
  end
end
for i = 1, n do answer[i] = depth[i] end
return answer
"""

# KEYS  each of n lanes, the counter of what finished in each, dead letters, uncollected results,
#       their bytes, expired results, then each job's record
# ARGV  n, group, seconds to keep results, bound of the dead letters, bytes of uncollected results,
#       bound of the expired ones,
#       then for each job: lane (1 to n), entry, reply channel, closed record,
#       reason to dead-letter or ''
# Returns how many results were published. Published are the records as they come: to put strings of
# pictures together costs Lua more than everything else here.
# Deleting happens whoever holds the lease: an answered job must not be delivered again. To
# acknowledge comes first: it needs no memory, and what follows it in a script Redis lets through
# when it is full, so that a full Redis is emptied and not stuck.
# Results that nobody collects are bounded in bytes: the oldest make room, but never the newest, and
# their records say so while they would have been kept.
FINISH = """
local n, published, added = tonumber(ARGV[1]), 0, 0
local dead, uncollected = KEYS[2 * n + 1], KEYS[2 * n + 2]
local uncollected_bytes, expired = KEYS[2 * n + 3], KEYS[2 * n + 4]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
for i = 1, #KEYS - 2 * n - 4 do
  local a, record = 6 + (i - 1) * 5, KEYS[2 * n + 4 + i]
  local lane, entry = tonumber(ARGV[a + 1]), ARGV[a + 2]
  local found = ARGV[a + 5] ~= '' and redis.call('XRANGE', KEYS[lane], entry, entry) or {}
  redis.call('XACK', KEYS[lane], ARGV[2], entry)
  if found[1] then
    redis.pcall('XADD', dead, 'MAXLEN', '~', ARGV[4], '*',
                'reason', ARGV[a + 5], unpack(found[1][2]))
  end
  if redis.call('XDEL', KEYS[lane], entry) == 1 then
    redis.call('INCR', KEYS[n + lane])
  end
  if redis.call('GETRANGE', record, 0, 0) == 'o' then
    redis.call('SET', record, ARGV[a + 4], 'EX', ARGV[3])
    redis.call('ZADD', uncollected, now, #ARGV[a + 4] .. ' ' .. record)
    added = added + #ARGV[a + 4]
    published = published + 1
    redis.call('PUBLISH', ARGV[a + 3], ARGV[a + 4])
  end
end
if published == 0 then return 0 end
local bytes = redis.call('INCRBY', uncollected_bytes, added)
local oldest_kept = now - ARGV[3] * 1000000
while true do
  local head = redis.call('ZRANGE', uncollected, 0, 0, 'WITHSCORES')
  local has_gone = head[1] and tonumber(head[2]) < oldest_kept
  local is_over = bytes > tonumber(ARGV[5]) and redis.call('ZCARD', uncollected) > 1
  if not (has_gone or is_over) then break end
  local size, record = string.match(head[1], '^(%d+) (.*)$')
  redis.call('ZREM', uncollected, head[1])
  bytes = redis.call('DECRBY', uncollected_bytes, size)
  if not has_gone and redis.call('GETRANGE', record, 0, 0) == 'c' then
    redis.call('SET', record, 'x', 'KEEPTTL')
    if redis.call('RPUSH', expired, record) > tonumber(ARGV[6]) then
      redis.call('DEL', redis.call('LPOP', expired))
    end
  end
end
for _, key in ipairs({uncollected, uncollected_bytes, expired}) do
  redis.call('EXPIRE', key, ARGV[3])
end
return published
"""

# KEYS  a lane, the job's record
# ARGV  group, entry, what an open record says before the entry
# The message goes to the end of its lane with a delivery counter that begins anew.
PUT_BACK = """
local found = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])
if found[1] then
  local entry = redis.call('XADD', KEYS[1], '*', unpack(found[1][2]))
  if redis.call('GETRANGE', KEYS[2], 0, 0) == 'o' then
    redis.call('SET', KEYS[2], ARGV[3] .. ' ' .. entry, 'KEEPTTL')
  end
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
"""

# KEYS  uncollected results, their bytes, then records of jobs whose waiters have their results
# ARGV  seconds to keep them
COLLECT = """
local freed = 0
for i = 3, #KEYS do
  redis.call('EXPIRE', KEYS[i], ARGV[1])
  local size = redis.call('STRLEN', KEYS[i])
  if redis.call('ZREM', KEYS[1], size .. ' ' .. KEYS[i]) == 1 then freed = freed + size end
end
if freed > 0 then redis.call('DECRBY', KEYS[2], freed) end
"""

# KEYS  anybody's
# ARGV  a value, milliseconds to keep it
# Redis that takes this takes submissions: it answers scripts, is no replica and has memory.
PULSE = """
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
"""

# KEYS  a lane
# ARGV  group, idle milliseconds after which a consumer counts as gone, own name
# Removes consumers that are gone and hold nothing. One that holds leases must stay: removing a
# consumer forgets its pending entries, and with them the jobs.
FORGET_CONSUMERS = """
local forgotten = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local about = {}
  for i = 1, #consumer, 2 do about[consumer[i]] = consumer[i + 1] end
  if about['pending'] == 0 and about['idle'] >= tonumber(ARGV[2]) and about['name'] ~= ARGV[3] then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about['name'])
    forgotten = forgotten + 1
  end
end
return forgotten
"""
