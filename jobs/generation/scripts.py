"""The atomic steps of a generation job, as Lua: each change of its record, and the tasks it causes.

The record is a hash; `underway` has the composites made so far of unpublished shards, `done` the
numbers of published shards, `unreadable` source pictures, `events` snapshots of the record. All
scripts take the same keys, in the order of `PARTS`, and then what all jobs share: the bulk lane,
the set of jobs, the set of workers. ARGV[1] is the job's id, ARGV[2] its epoch, the rest is the
script's own.

A script that comes from a worker answers 0 if its epoch is not the job's: then nothing is changed.
All may be repeated, because an answer may be lost. Tasks are text, since Lua writes them.
"""

from __future__ import annotations

PARTS = ("", "events", "underway", "done", "unreadable")

EVENTS_KEPT = 1000
EVENT_SECONDS = 0.5
"""Between two events of progress."""
RATE_SECONDS = 30.0
"""The rate is taken over this time."""
MOST_OUTSTANDING = 64
"""Shard tasks of one job in the lane. There are as many as workers and one more, so that nobody
waits for work and tasks of other jobs get in between."""

_COMMON = f"""
local record, events, underway, done, unreadable = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local lane, jobs, workers = KEYS[6], KEYS[7], KEYS[8]
local job, epoch = ARGV[1], ARGV[2]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function get(name) return redis.call('HGET', record, name) end
local function number(name) return tonumber(get(name) or 0) end
local function add(name, amount) redis.call('HINCRBY', record, name, amount) end
local function set(...)
  redis.call('HSET', record, 'updated', string.format('%.3f', now), ...)
end
local function is_one_of(value, names)
  for _, name in ipairs(names) do if value == name then return true end end
  return false
end
local ACTIVE = {{'queued', 'planning', 'running', 'assembling'}}

local function is_mine(states)
  return get('epoch') == epoch and is_one_of(get('state'), states or ACTIVE)
end

local function count_made()
  local made = number('published')
  for _, amount in ipairs(redis.call('HVALS', underway)) do made = made + tonumber(amount) end
  set('made', made, 'unreadable', redis.call('SCARD', unreadable))
  return made
end

local function event(kind)
  local made = count_made()
  local entry = {{'kind', kind, 'worked', made - number('found')}}
  local fields = redis.call('HGETALL', record)
  for i = 1, #fields, 2 do
    if fields[i] ~= 'spec' then
      entry[#entry + 1] = fields[i]
      entry[#entry + 1] = fields[i + 1]
    end
  end
  redis.call('XADD', events, 'MAXLEN', '=', {EVENTS_KEPT}, '*', unpack(entry))
end

local function progress()
  if now - number('progress_at') < {EVENT_SECONDS} then return end
  local since = string.format('%.0f', (now - {RATE_SECONDS}) * 1000)
  local begun = string.format('%.0f', number('running_since') * 1000 - 1)
  if tonumber(begun) > tonumber(since) then since = begun end
  local first = redis.call('XRANGE', events, since, '+', 'COUNT', 1)[1]
  if first then
    local before = 0
    for i = 1, #first[2], 2 do
      if first[2][i] == 'worked' then before = tonumber(first[2][i + 1]) end
    end
    local seconds = now - tonumber(string.match(first[1], '^%d+')) / 1000
    local worked = count_made() - number('found') - before
    if seconds > 0 and worked > 0 then set('rate', string.format('%.6g', worked / seconds)) end
  end
  set('progress_at', string.format('%.3f', now))
  event('progress')
end

local function enter(state, ...)
  set('state', state, ...)
  event('state')
end

local function task(step, shard)
  redis.call('XADD', lane, '*', 'job', job, 'kind', 'generation', 'reply', '',
             'data', get('epoch') .. ' ' .. step .. ' ' .. shard)
end

local function hand_out()
  local limit = math.min({MOST_OUTSTANDING}, redis.call('SCARD', workers) + 1)
  local next_shard, shards = number('next_shard'), number('shards')
  local ended = redis.call('SCARD', done)
  while next_shard < shards and next_shard - ended < limit do
    task('shard', next_shard)
    next_shard = next_shard + 1
  end
  set('next_shard', next_shard)
end

local function start_counting()
  redis.call('DEL', underway, done, unreadable)
  for _, name in ipairs(redis.call('HKEYS', record)) do
    if string.sub(name, 1, 8) == 'dropped:' then redis.call('HDEL', record, name) end
  end
  redis.call('HDEL', record, 'finished', 'rate', 'error_code', 'error_message')
  set('epoch', epoch, 'planned', 0, 'made', 0, 'published', 0, 'found', 0, 'kept', 0,
      'unreadable', 0, 'shards', 0, 'shards_done', 0, 'next_shard', 0)
end

local function stop(state, ...)
  redis.call('DEL', underway)
  redis.call('HDEL', record, 'rate')
  enter(state, 'epoch', epoch, 'finished', string.format('%.3f', now), ...)
end
"""

# ARGV  3 spec as JSON, 4 created or '', 5 bound of the lane, 6 idempotency key's value,
#       7 seconds it is kept, 8 version of the model that makes it, or ''.  KEYS 9 the idempotency
#       key, if there is one
# Returns {'new'}, {'known', job}, {'same', value of the key}, {'full', depth} or {'gone', job}: it
# was deleted, or given up as never taken.
SUBMIT = (
    _COMMON
    + """
if KEYS[9] then
  local before = redis.call('GET', KEYS[9])
  if before then return {'same', before} end
end
if redis.call('EXISTS', record) == 1 then
  return {get('state') == 'deleted' and 'gone' or 'known', job}
end
local depth = redis.call('XLEN', lane)
if depth >= tonumber(ARGV[5]) then return {'full', depth} end
redis.call('DEL', record, events)
local created = ARGV[4]
if created == '' then created = string.format('%.3f', now) end
set('spec', ARGV[3], 'created', created)
if ARGV[8] ~= '' then set('model_version', ARGV[8]) end
redis.call('PERSIST', record)
start_counting()
redis.call('ZADD', jobs, created, job)
if KEYS[9] then redis.call('SET', KEYS[9], ARGV[6], 'EX', ARGV[7]) end
enter('queued')
task('begin', 0)
return {'new', job}
"""
)

# Returns the state that the job was in, '' if there is none.
CANCEL = (
    _COMMON
    + """
local state = get('state') or ''
if is_one_of(state, ACTIVE) then stop('cancelled') end
return state
"""
)

# ARGV  3 bound of the lane
# Returns the state that the job was in, '' if there is none, 'full' if the lane is.
RESUME = (
    _COMMON
    + """
local state = get('state') or ''
if state == 'failed' or state == 'cancelled' then
  if redis.call('XLEN', lane) >= tonumber(ARGV[3]) then return 'full' end
  start_counting()
  enter('queued')
  task('begin', 0)
end
return state
"""
)

# ARGV  3 seconds that a worker may still be about the job, 4 whether it has files: 1 or 0
# The record stays for that time as a tombstone: who finds it frees what a worker wrote meanwhile.
# Of a job that never was, nothing stays.
DELETE = (
    _COMMON
    + """
if ARGV[4] == '0' and redis.call('EXISTS', record) == 0 then return 0 end
redis.call('DEL', record, events, underway, done, unreadable)
redis.call('ZREM', jobs, job)
redis.call('HSET', record, 'state', 'deleted', 'epoch', epoch)
redis.call('EXPIRE', record, ARGV[3])
"""
)

# Of a submission whose answer was lost. ARGV  3 seconds that it might still be on its way
# Returns the state of the job. If there is none, '', and it cannot be entered any more.
GIVE_UP = (
    _COMMON
    + """
local state = get('state')
if state then return state end
redis.call('HSET', record, 'state', 'deleted', 'epoch', epoch)
redis.call('EXPIRE', record, ARGV[3])
return ''
"""
)

# ARGV  3 seconds that a job must have been at an end, 4 seconds that it is remembered as expired
# Returns 1 if the job has expired, now or before.
EXPIRE = (
    _COMMON
    + """
local state = get('state')
if state == 'expired' then return 1 end
if not is_one_of(state, {'done', 'failed', 'cancelled'}) then return 0 end
if now - number('finished') < tonumber(ARGV[3]) then return 0 end
set('epoch', epoch)
enter('expired')
redis.call('DEL', underway, done, unreadable)
redis.call('EXPIRE', record, ARGV[4])
redis.call('EXPIRE', events, ARGV[4])
return 1
"""
)

# A worker reads listing and plan. ARGV  3 model version
START = (
    _COMMON
    + """
if not is_mine({'queued', 'planning'}) then return 0 end
if get('state') == 'queued' then enter('planning', 'model_version', ARGV[3]) end
return 1
"""
)

# A window of the plan is to be made. ARGV  3 first position, 4 end, 5 number of its first shard,
# 6 shards there are with it
OPEN_WINDOW = (
    _COMMON
    + """
if not is_mine({'planning', 'running'}) then return 0 end
if get('state') == 'running' and tonumber(ARGV[6]) <= number('shards') then return 1 end
set('planned', ARGV[4], 'window_start', ARGV[3], 'window_stop', ARGV[4],
    'window_shard', ARGV[5], 'shards', ARGV[6])
if get('state') == 'planning' then
  enter('running', 'running_since', string.format('%.3f', now))
else
  event('progress')
end
hand_out()
return 1
"""
)

# ARGV  3 shard, 4 composites made of it so far
REPORT = (
    _COMMON
    + """
if not is_mine({'running'}) then return 0 end
if redis.call('SISMEMBER', done, ARGV[3]) == 0 then
  redis.call('HSET', underway, ARGV[3], ARGV[4])
  progress()
end
return 1
"""
)

# ARGV  3 shard, 4 composites, 5 kept, 6 composites that an earlier run had made, 7 number of
#       reasons, then reason and count of each, then unreadable pictures
COMPLETE = (
    _COMMON
    + """
if not is_mine({'running'}) then return 0 end
redis.call('HDEL', underway, ARGV[3])
if redis.call('SADD', done, ARGV[3]) == 0 then return 1 end
add('published', ARGV[4])
add('kept', ARGV[5])
add('found', ARGV[6])
add('shards_done', 1)
local last = 7 + 2 * tonumber(ARGV[7])
for i = 8, last, 2 do add('dropped:' .. ARGV[i], ARGV[i + 1]) end
for i = last + 1, #ARGV do redis.call('SADD', unreadable, ARGV[i]) end
hand_out()
local ended = redis.call('SCARD', done)
if ended == number('shards') then
  task('advance', ended)
  event('progress')
else
  progress()
end
return 1
"""
)

ASSEMBLE = (
    _COMMON
    + """
if not is_mine({'running', 'assembling'}) then return 0 end
if get('state') == 'running' then enter('assembling') end
return 1
"""
)

# ARGV  3 the epoch that follows, 4 composites, 5 kept, 6 number of reasons, then reason and count
#       of each, then unreadable pictures
# With the new epoch every task of the job is stale: a finished set is not written to any more.
FINISH = (
    _COMMON
    + """
if not is_mine() then return 0 end
redis.call('DEL', underway)
local last = 6 + 2 * tonumber(ARGV[6])
for i = 7, last, 2 do set('dropped:' .. ARGV[i], ARGV[i + 1]) end
for i = last + 1, #ARGV do redis.call('SADD', unreadable, ARGV[i]) end
set('planned', ARGV[4], 'published', ARGV[4], 'kept', ARGV[5])
epoch = ARGV[3]
stop('done')
redis.call('DEL', done)
return 1
"""
)

# ARGV  3 the epoch that follows, 4 error's code, 5 its message, 6 the shard that failed or ''
# A shard that somebody else published meanwhile is no reason to fail.
FAIL = (
    _COMMON
    + """
if not is_mine() then return 0 end
if ARGV[6] ~= '' and redis.call('SISMEMBER', done, ARGV[6]) == 1 then return 0 end
epoch = ARGV[3]
stop('failed', 'error_code', ARGV[4], 'error_message', ARGV[5])
return 1
"""
)
