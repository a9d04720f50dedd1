"""The atomic steps of the queue, as Lua: jobs enter, jobs leave.

All take a batch, because a round trip costs more than a job. They travel as EVAL with their full
text: it is small beside a picture, and a restarted Redis needs nothing loaded first.

A job's record is a string. Open: `o<lane index> <kind> <stream entry>`. Closed: `c<id> <outcome>`.
Only an open record can be closed: that is what makes results exactly-once.
"""

from __future__ import annotations

# KEYS  small lane, bulk lane, small finished, bulk finished, then each job's record
# ARGV  small bound, bulk bound, seconds to keep a job, reply channel,
#       then for each job: lane index (1 or 2), job id, kind, payload
# Returns {small depth, bulk depth, small finished, bulk finished, then 1 (entered) or 0 (full)}.
# A record that exists means that this is a retry of a submission whose answer was lost.
SUBMIT = """
local depth = {redis.call('XLEN', KEYS[1]), redis.call('XLEN', KEYS[2])}
local answer = {0, 0, tonumber(redis.call('GET', KEYS[3]) or 0),
                tonumber(redis.call('GET', KEYS[4]) or 0)}
for i = 1, #KEYS - 4 do
  local a = 4 + (i - 1) * 4
  local lane, record = tonumber(ARGV[a + 1]), KEYS[4 + i]
  answer[4 + i] = 1
  if redis.call('EXISTS', record) == 0 then
    if depth[lane] >= tonumber(ARGV[lane]) then
      answer[4 + i] = 0
    else
      local entry = redis.call('XADD', KEYS[lane], '*',
                               'job', ARGV[a + 2], 'kind', ARGV[a + 3],
                               'reply', ARGV[4], 'data', ARGV[a + 4])
      redis.call('SET', record, 'o' .. lane .. ' ' .. ARGV[a + 3] .. ' ' .. entry,
                 'EX', ARGV[3])
      depth[lane] = depth[lane] + 1
    end
  end
end
answer[1], answer[2] = depth[1], depth[2]
return answer
"""

# KEYS  small lane, bulk lane, small finished, bulk finished, dead letters, uncollected results,
#       their bytes, expired results, then each job's record
# ARGV  group, seconds to keep results, bound of the dead letters, bytes of uncollected results,
#       bound of the expired ones,
#       then for each job: lane index, entry, reply channel, closed record,
#       reason to dead-letter or ''
# Returns how many results were published. Published are the records as they come: to put strings of
# pictures together costs Lua more than everything else here.
# Deleting happens whoever holds the lease: an answered job must not be delivered again. To
# acknowledge comes first: it needs no memory, and what follows it in a script Redis lets through
# when it is full, so that a full Redis is emptied and not stuck.
# Results that nobody collects are bounded in bytes: the oldest make room, but never the newest, and
# their records say so while they would have been kept.
FINISH = """
local published, added = 0, 0
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
for i = 1, #KEYS - 8 do
  local a, record = 5 + (i - 1) * 5, KEYS[8 + i]
  local lane, entry = tonumber(ARGV[a + 1]), ARGV[a + 2]
  local found = ARGV[a + 5] ~= '' and redis.call('XRANGE', KEYS[lane], entry, entry) or {}
  redis.call('XACK', KEYS[lane], ARGV[1], entry)
  if found[1] then
    redis.pcall('XADD', KEYS[5], 'MAXLEN', '~', ARGV[3], '*',
                'reason', ARGV[a + 5], unpack(found[1][2]))
  end
  if redis.call('XDEL', KEYS[lane], entry) == 1 then
    redis.call('INCR', KEYS[2 + lane])
  end
  if redis.call('GETRANGE', record, 0, 0) == 'o' then
    redis.call('SET', record, ARGV[a + 4], 'EX', ARGV[2])
    redis.call('ZADD', KEYS[6], now, #ARGV[a + 4] .. ' ' .. record)
    added = added + #ARGV[a + 4]
    published = published + 1
    redis.call('PUBLISH', ARGV[a + 3], ARGV[a + 4])
  end
end
if published == 0 then return 0 end
local bytes, oldest_kept = redis.call('INCRBY', KEYS[7], added), now - ARGV[2] * 1000000
while true do
  local head = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
  local has_gone = head[1] and tonumber(head[2]) < oldest_kept
  if not (has_gone or bytes > tonumber(ARGV[4]) and redis.call('ZCARD', KEYS[6]) > 1) then break end
  local size, record = string.match(head[1], '^(%d+) (.*)$')
  redis.call('ZREM', KEYS[6], head[1])
  bytes = redis.call('DECRBY', KEYS[7], size)
  if not has_gone and redis.call('GETRANGE', record, 0, 0) == 'c' then
    redis.call('SET', record, 'x', 'KEEPTTL')
    if redis.call('RPUSH', KEYS[8], record) > tonumber(ARGV[5]) then
      redis.call('DEL', redis.call('LPOP', KEYS[8]))
    end
  end
end
for i = 6, 8 do redis.call('EXPIRE', KEYS[i], ARGV[2]) end
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
