// The Lua that runs in Redis: one script per write, so that condition, value, first-write mark, version and expiry
// change together or not at all. Layout: dapr-state-stores.md 2b. Knows no connection.
import { createHash } from "node:crypto";
import { type Effect, RedisError } from "./errors.ts";
import type { Argument, Link } from "./link.ts";

export interface Script {
  readonly text: string;
  /** What EVALSHA calls it by. */
  readonly sha: string;
  readonly effect: Effect;
}

/** What a script answers for a condition that does not hold. Anything from 0 up is success. */
export const VERDICT = {
  otherVersion: -1,
  nothingThere: -2,
  somethingThere: -3,
  badVersion: -4,
  /** A document was refused although it was tried before: the changes before it are applied. */
  partlyApplied: -5,
} as const;

/** How many arguments each change of a transaction has: kind, etag, first-write, ttl, document, value. */
export const CHANGE_ARGUMENTS = 6;

// A row is a hash or, where the server has the module, a JSON document; a missing key counts as a hash without a version.
// A key of another type (a string that an early Dapr wrote, say) has no version: it fails every ETag and is replaced by
// a plain write. A row that changes from one form to the other keeps its counter, so that no ETag comes twice.
// Versions are compared as text: Lua's numbers are doubles and lose digits above 2^53. A counter of 19 digits or more
// is refused before anything is written, because HINCRBY could overflow after the value has changed.
// A replica would refuse conditions out of data that may be stale, before any write tells what it is. Every refusal
// therefore tries a write: EXPIRE with a time that is no number changes nothing under any key of any type, but a replica
// names itself before it reads the arguments. Its answer is put in words here, because Redis 6 begins it with the line.
// What was met before anything was written is told by the code for missing rights, and not in the words for a script that
// was stopped halfway.
const SHARED = `
local function unwritten(failure)
  if string.find(failure.err, 'ACL failure', 1, true) or string.find(failure.err, 'executing the script', 1, true) then
    return redis.error_reply('NOPERM ' .. failure.err)
  end
  return failure
end

local function look(key)
  local version = redis.pcall('HGET', key, 'version')
  if type(version) ~= 'table' then return {kind = 'hash', version = version} end
  if not string.find(version.err, 'WRONGTYPE', 1, true) then return nil, version end
  if redis.call('TYPE', key).ok ~= 'ReJSON-RL' then return {kind = 'other', version = false} end
  local versions = redis.pcall('JSON.GET', key, '$.version')
  if type(versions) ~= 'string' then return nil, unwritten(versions) end
  local version = string.sub(versions, 2, -2)
  return {kind = 'document', version = version ~= '' and version}
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
  return not version or (#version < 19 and
    (version == '0' or string.find(version, '^-?[1-9]%d*$') ~= nil))
end

local function put_hash(key, row, first, value)
  if row.kind ~= 'hash' then redis.call('DEL', key) end
  if first == '1' then
    redis.call('HSET', key, 'data', value, 'first-write', '0')
  else
    redis.call('HSET', key, 'data', value)
  end
  if row.kind == 'document' and row.version then redis.call('HSET', key, 'version', row.version) end
  redis.call('HINCRBY', key, 'version', 1)
end

local function document(row, first, value)
  local mark = first == '1' and ',"first-write":0' or ''
  return '{"data":' .. value .. mark .. ',"version":' .. (row.version or '0') .. '}'
end

local function put_document(key, row, first, value)
  local before, left = false, 0
  if row.kind ~= 'document' then
    before, left = redis.call('DUMP', key), redis.call('PTTL', key)
    redis.call('DEL', key)
  end
  local answer = redis.pcall('JSON.SET', key, '$', document(row, first, value))
  if answer.err then
    if before then redis.call('RESTORE', key, math.max(left, 0), before) end
    return unwritten(answer)
  end
  redis.call('JSON.NUMINCRBY', key, '$.version', 1)
end

local function put(key, row, first, ttl, as_document, value)
  if as_document == '1' then
    local failure = put_document(key, row, first, value)
    if failure then return failure end
  else
    put_hash(key, row, first, value)
  end
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

/** KEYS: the key. ARGV: etag or "", first-write "1" or "", ttl in seconds or "", document "1" or "", value. */
export const SET: Script = script(`${SHARED}
local row, failure = look(KEYS[1])
if failure then return failure end
if not counts(row.version) then return refuse(KEYS[1], ${VERDICT.badVersion}) end
local answer = verdict(KEYS[1], row.version, ARGV[1], ARGV[2])
if answer ~= 0 then return refuse(KEYS[1], answer) end
return put(KEYS[1], row, ARGV[2], ARGV[3], ARGV[4], ARGV[5]) or 0
`);

/** KEYS: the key. ARGV: etag or "". */
export const REMOVE: Script = script(`${SHARED}
local row, failure = look(KEYS[1])
if failure then return failure end
local answer = verdict(KEYS[1], row.version, ARGV[1], '')
if answer ~= 0 then return refuse(KEYS[1], answer) end
redis.call('DEL', KEYS[1])
return 0
`);

const IS_DOCUMENT = `
local function is_row(key)
  return #redis.call('JSON.TYPE', key, '$.data') == 1 and #redis.call('JSON.TYPE', key, '$.version') == 1
end
`;

/**
 * KEYS: the key, told by a walk. Deletes what is a row, under whatever version: a hash or a document with data and
 * version, or a plain string under a key prefix, which always has a "||"; a key told without a prefix has none. Answers
 * how many were deleted.
 */
export const REMOVE_ROW: Script = script(`${IS_DOCUMENT}
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'hash' then
  if redis.call('HEXISTS', KEYS[1], 'data') == 0 or redis.call('HEXISTS', KEYS[1], 'version') == 0 then return 0 end
elseif kind == 'ReJSON-RL' then
  if not is_row(KEYS[1]) then return 0 end
elseif kind ~= 'string' or not string.find(KEYS[1], '||', 1, true) then
  return 0
end
return redis.call('DEL', KEYS[1])
`);

/**
 * KEYS: the key. ARGV: "1" when the value's size is wanted. Answers the bytes of a document's value, 0 when nobody wants
 * to know, and -1 for a document that is no row.
 */
export const MEASURE_DOCUMENT: Script = script(
  `${IS_DOCUMENT}
if not is_row(KEYS[1]) then return -1 end
if ARGV[1] ~= '1' then return 0 end
return #redis.call('JSON.GET', KEYS[1], '$.data') - 2
`,
  "read",
);

/**
 * KEYS: the key of each change, in order. ARGV: six per change: "upsert" or "delete", etag or "", first-write "1" or "",
 * ttl or "", document "1" or "", value. All conditions are checked against the state before the first change, and each
 * document is tried: XX on a key that has none, and NX on one that has, read it and write nothing; a hash is told to be
 * of the wrong type before that. Answers {verdict, number of the failing change from 1}. ARGV is read by index and never
 * unpacked: Lua's stack holds some 8,000 values.
 */
export const TRANSACT: Script = script(`${SHARED}
local function trial(key, row, first, value)
  local answer = redis.pcall('JSON.SET', key, '$', document(row, first, value), row.kind == 'document' and 'NX' or 'XX')
  if type(answer) ~= 'table' or not answer.err or string.find(answer.err, 'wrong Redis type', 1, true) then return nil end
  return unwritten(answer)
end

for i = 1, #KEYS do
  local at = (i - 1) * ${CHANGE_ARGUMENTS}
  local row, failure = look(KEYS[i])
  if failure then return failure end
  if ARGV[at + 1] == 'upsert' and not counts(row.version) then
    return refuse(KEYS[i], {${VERDICT.badVersion}, i})
  end
  local answer = verdict(KEYS[i], row.version, ARGV[at + 2], ARGV[at + 3])
  if answer ~= 0 then return refuse(KEYS[i], {answer, i}) end
  if ARGV[at + 5] == '1' then
    failure = trial(KEYS[i], row, ARGV[at + 3], ARGV[at + 6])
    if failure then return failure end
  end
end
for i = 1, #KEYS do
  local at = (i - 1) * ${CHANGE_ARGUMENTS}
  if ARGV[at + 1] == 'upsert' then
    local failure = put(KEYS[i], look(KEYS[i]), ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6])
    if failure then return {${VERDICT.partlyApplied}, i} end
  else
    redis.call('DEL', KEYS[i])
  end
end
return {0, 0}
`);

function script(text: string, effect: Effect = "write"): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex"), effect };
}

/** Runs a script by its digest; a server that does not know it yet gets its text. A refused digest has run nothing. */
export async function evaluate(
  link: Pick<Link, "call">,
  { sha, text, effect }: Script,
  args: readonly Argument[],
): Promise<unknown> {
  try {
    return await link.call(effect, "evalsha", [sha, ...args]);
  } catch (error) {
    if (!(error instanceof RedisError) || error.reply !== "NOSCRIPT") throw error;
    return await link.call(effect, "eval", [text, ...args]);
  }
}
