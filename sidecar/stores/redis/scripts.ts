// The Lua that runs in Redis: one script per write, so that condition, value, first-write mark, version and expiry
// change together or not at all. Layout: dapr-state-stores.md 2b. Knows no client.
import { createHash } from "node:crypto";

export interface Script {
  readonly text: string;
  /** What EVALSHA calls it by. */
  readonly sha: string;
}

/** What a script answers for a condition that does not hold. Anything from 0 up is success. */
export const VERDICT = { otherVersion: -1, nothingThere: -2, somethingThere: -3, badVersion: -4 } as const;

/** How many arguments each change of a transaction has: kind, etag, first-write, ttl, value. */
export const CHANGE_ARGUMENTS = 5;

// A key of another type (a string that an early Dapr wrote, say) has no version: it fails every ETag and is replaced by
// a plain write. HGET answers it with an error table, which therefore stands for "another type" from here on.
// Versions are compared as text: Lua's numbers are doubles and lose digits above 2^53. A counter of 19 digits or more
// is refused before anything is written, because HINCRBY could overflow after the value has changed.
// A replica would refuse conditions out of data that may be stale, before any write tells what it is. Every refusal
// therefore tries a write: EXPIRE with a time that is no number changes nothing under any key of any type, but a replica
// names itself before it reads the arguments. Its answer is put in words here, because Redis 6 begins it with the line.
const SHARED = `
local function read_version(key)
  local version = redis.pcall('HGET', key, 'version')
  if type(version) == 'table' and not string.find(version.err, 'WRONGTYPE', 1, true) then
    return nil, version
  end
  return version
end

local function verdict(key, version, etag, first)
  if etag ~= '' then
    if version == etag then return 0 end
    if version then return ${VERDICT.otherVersion} end
    return redis.call('EXISTS', key) == 1 and ${VERDICT.otherVersion} or ${VERDICT.nothingThere}
  end
  if first == '1' and (version or redis.call('EXISTS', key) == 1) then return ${VERDICT.somethingThere} end
  return 0
end

local function counts(version)
  return type(version) ~= 'string' or (#version < 19 and
    (version == '0' or string.find(version, '^-?[1-9]%d*$') ~= nil))
end

local function put(key, version, first, ttl, value)
  if type(version) == 'table' then redis.call('DEL', key) end
  if first == '1' then
    redis.call('HSET', key, 'data', value, 'first-write', '0')
  else
    redis.call('HSET', key, 'data', value)
  end
  redis.call('HINCRBY', key, 'version', 1)
  if ttl == '' then redis.call('PERSIST', key) else redis.call('EXPIRE', key, ttl) end
end

local function refuse(key, answer)
  local probe = redis.pcall('EXPIRE', key, 'never')
  if type(probe) == 'table' and string.find(probe.err, 'READONLY', 1, true) then
    return redis.error_reply('READONLY this is a replica, its data decide nothing')
  end
  return answer
end
`;

/** KEYS: the key. ARGV: etag or "", first-write "1" or "", ttl in seconds or "", value. */
export const SET: Script = script(`${SHARED}
local version, failure = read_version(KEYS[1])
if failure then return failure end
if not counts(version) then return refuse(KEYS[1], ${VERDICT.badVersion}) end
local answer = verdict(KEYS[1], version, ARGV[1], ARGV[2])
if answer ~= 0 then return refuse(KEYS[1], answer) end
put(KEYS[1], version, ARGV[2], ARGV[3], ARGV[4])
return 0
`);

/** KEYS: the key. ARGV: etag or "". */
export const REMOVE: Script = script(`${SHARED}
local version, failure = read_version(KEYS[1])
if failure then return failure end
local answer = verdict(KEYS[1], version, ARGV[1], '')
if answer ~= 0 then return refuse(KEYS[1], answer) end
redis.call('DEL', KEYS[1])
return 0
`);

/**
 * KEYS: the key, told by a walk. Deletes what is a row, under whatever version: a hash with data and version, or a plain
 * string under a key prefix, which always has a "||"; a key told without a prefix has none. Answers how many were deleted.
 */
export const REMOVE_ROW: Script = script(`
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'hash' then
  if redis.call('HEXISTS', KEYS[1], 'data') == 0 or redis.call('HEXISTS', KEYS[1], 'version') == 0 then return 0 end
elseif kind ~= 'string' or not string.find(KEYS[1], '||', 1, true) then
  return 0
end
return redis.call('DEL', KEYS[1])
`);

/**
 * KEYS: the key of each change, in order. ARGV: five per change: "upsert" or "delete", etag or "", first-write "1" or "",
 * ttl or "", value. All conditions are checked against the state before the first change. Answers {verdict, number of
 * the failing change from 1}. ARGV is read by index and never unpacked: Lua's stack holds some 8,000 values.
 */
export const TRANSACT: Script = script(`${SHARED}
for i = 1, #KEYS do
  local at = (i - 1) * ${CHANGE_ARGUMENTS}
  local version, failure = read_version(KEYS[i])
  if failure then return failure end
  if ARGV[at + 1] == 'upsert' and not counts(version) then
    return refuse(KEYS[i], {${VERDICT.badVersion}, i})
  end
  local answer = verdict(KEYS[i], version, ARGV[at + 2], ARGV[at + 3])
  if answer ~= 0 then return refuse(KEYS[i], {answer, i}) end
end
for i = 1, #KEYS do
  local at = (i - 1) * ${CHANGE_ARGUMENTS}
  if ARGV[at + 1] == 'upsert' then
    put(KEYS[i], read_version(KEYS[i]), ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
  else
    redis.call('DEL', KEYS[i])
  end
end
return {0, 0}
`);

function script(text: string): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}
