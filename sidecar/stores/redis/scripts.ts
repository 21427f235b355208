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
  /** A row could not be read or made a document, although that was tried before: the changes before it are applied. */
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
const UNWRITTEN = `
local function unwritten(failure)
  if string.find(failure.err, 'ACL failure', 1, true) or string.find(failure.err, 'executing the script', 1, true) then
    return redis.error_reply('NOPERM ' .. failure.err)
  end
  return failure
end
`;

/** Reading and judging. A key's form, its version or false, and an answer that ends the script come as three values. */
const JUDGE = `${UNWRITTEN}
local function look(key)
  local version = redis.pcall('HGET', key, 'version')
  if type(version) ~= 'table' then return 'hash', version end
  if not string.find(version.err, 'WRONGTYPE', 1, true) then return nil, nil, unwritten(version) end
  local kind = redis.pcall('TYPE', key)
  if kind.err then return nil, nil, unwritten(kind) end
  if kind.ok ~= 'ReJSON-RL' then return 'other', false end
  local versions = redis.pcall('JSON.GET', key, '$.version')
  if type(versions) ~= 'string' then return nil, nil, unwritten(versions) end
  version = string.sub(versions, 2, -2)
  return 'document', version ~= '' and version
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

local function refuse(key, answer)
  local probe = redis.pcall('EXPIRE', key, 'never')
  if type(probe) == 'table' and string.find(probe.err, 'READONLY', 1, true) then
    return redis.error_reply('READONLY this is a replica, its data decide nothing')
  end
  return answer
end
`;

// A document takes the place of a row of another form by way of DEL, after which Redis looks at no memory limit any more.
// Therefore nothing is deleted where nothing is, and what is in the way is saved first: RESTORE over a key that is there
// changes nothing, and its refusal tells that it would be allowed, by rights and by memory.
// Lua makes each function anew whenever a script runs: those for documents are made where one is written, so that hashes
// do not pay for them.
const PUT = `
local function documents()
  local function raised(version)
    if #version < 15 then return string.format('%.0f', version + 1) end
    local sign = string.match(version, '^-?')
    local head = tonumber(string.sub(version, #sign + 1, -10))
    local tail = tonumber(string.sub(version, -9)) + (sign == '-' and -1 or 1)
    local carry = math.floor(tail / 1e9)
    return sign .. string.format('%.0f%09.0f', head + carry, tail - carry * 1e9)
  end

  local function set(key, version, first, value, condition)
    local mark = first == '1' and ',"first-write":0' or ''
    local text = '{"data":' .. value .. mark .. ',"version":' .. raised(version or '0') .. '}'
    if condition then return redis.pcall('JSON.SET', key, '$', text, condition) end
    return redis.pcall('JSON.SET', key, '$', text)
  end

  local function save(key)
    local dump = redis.pcall('DUMP', key)
    if type(dump) == 'table' then return nil, unwritten(dump) end
    local left = redis.pcall('PTTL', key)
    if type(left) == 'table' then return nil, unwritten(left) end
    local refused = redis.pcall('RESTORE', key, 0, dump)
    if not string.find(refused.err, 'BUSYKEY', 1, true) then return nil, unwritten(refused) end
    return {dump = dump, left = left < 0 and 0 or math.max(left, 1)}
  end

  return set, save
end

local function put_document(key, kind, version, first, value)
  local set, save = documents()
  local before, failure
  if kind ~= 'document' and redis.call('EXISTS', key) == 1 then
    before, failure = save(key)
    if failure then return failure end
    redis.call('DEL', key)
  end
  local answer = set(key, version, first, value)
  if not answer.err then return nil end
  if before then redis.call('RESTORE', key, before.left, before.dump) end
  return unwritten(answer)
end

local function put(key, kind, version, first, ttl, as_document, value)
  if as_document == '1' then
    local failure = put_document(key, kind, version, first, value)
    if failure then return failure end
  else
    if kind ~= 'hash' then redis.call('DEL', key) end
    if first == '1' then
      redis.call('HSET', key, 'data', value, 'first-write', '0')
    else
      redis.call('HSET', key, 'data', value)
    end
    if kind == 'document' and version then redis.call('HSET', key, 'version', version) end
    redis.call('HINCRBY', key, 'version', 1)
  end
  if ttl == '' then redis.call('PERSIST', key) else redis.call('EXPIRE', key, ttl) end
end

local function counts(version)
  return not version or (#version < 19 and
    (version == '0' or string.find(version, '^-?[1-9]%d*$') ~= nil))
end
`;

/** KEYS: the key. ARGV: etag or "", first-write "1" or "", ttl in seconds or "", document "1" or "", value. */
export const SET: Script = script(`${JUDGE}${PUT}
local kind, version, failure = look(KEYS[1])
if failure then return failure end
if not counts(version) then return refuse(KEYS[1], ${VERDICT.badVersion}) end
local answer = verdict(KEYS[1], version, ARGV[1], ARGV[2])
if answer ~= 0 then return refuse(KEYS[1], answer) end
return put(KEYS[1], kind, version, ARGV[2], ARGV[3], ARGV[4], ARGV[5]) or 0
`);

/** KEYS: the key. ARGV: etag or "". */
export const REMOVE: Script = script(`${JUDGE}
local _, version, failure = look(KEYS[1])
if failure then return failure end
local answer = verdict(KEYS[1], version, ARGV[1], '')
if answer ~= 0 then return refuse(KEYS[1], answer) end
redis.call('DEL', KEYS[1])
return 0
`);

const IS_ROW = `${UNWRITTEN}
local function is_row(key)
  for _, path in ipairs({'$.data', '$.version'}) do
    local types = redis.pcall('JSON.TYPE', key, path)
    if types.err then return false, unwritten(types) end
    if #types ~= 1 then return false end
  end
  return true
end
`;

/**
 * KEYS: the key, told by a walk. Deletes what is a row, under whatever version: a hash or a document with data and
 * version, or a plain string under a key prefix, which always has a "||"; a key told without a prefix has none. Answers
 * how many were deleted.
 */
export const REMOVE_ROW: Script = script(`${IS_ROW}
local answer = redis.pcall('TYPE', KEYS[1])
if answer.err then return unwritten(answer) end
local kind = answer.ok
if kind == 'hash' then
  if redis.call('HEXISTS', KEYS[1], 'data') == 0 or redis.call('HEXISTS', KEYS[1], 'version') == 0 then return 0 end
elseif kind == 'ReJSON-RL' then
  local is_one, failure = is_row(KEYS[1])
  if not is_one then return failure or 0 end
elseif kind ~= 'string' or not string.find(KEYS[1], '||', 1, true) then
  return 0
end
return redis.call('DEL', KEYS[1])
`);

/** What a document's measure is when there is none to take: no row of the layout, a hash, or neither of the two. */
export const NO_MEASURE = { noRow: -1, hash: -2, noDocument: -3 } as const;

/**
 * KEYS: the key. ARGV: "1" when the value's size is wanted. Answers the bytes of a document's value, 0 when nobody wants
 * to know, and else one of NO_MEASURE.
 */
export const MEASURE_DOCUMENT: Script = script(
  `${IS_ROW}
local kind = redis.pcall('TYPE', KEYS[1])
if kind.err then return unwritten(kind) end
if kind.ok == 'none' then return ${NO_MEASURE.noRow} end
if kind.ok == 'hash' then return ${NO_MEASURE.hash} end
if kind.ok ~= 'ReJSON-RL' then return ${NO_MEASURE.noDocument} end
local is_one, failure = is_row(KEYS[1])
if not is_one then return failure or ${NO_MEASURE.noRow} end
if ARGV[1] ~= '1' then return 0 end
local value = redis.pcall('JSON.GET', KEYS[1], '$.data')
if type(value) ~= 'string' then return unwritten(value) end
return #value - 2
`,
  "read",
);

/**
 * KEYS: the key of each change, in order. ARGV: six per change: "upsert" or "delete", etag or "", first-write "1" or "",
 * ttl or "", document "1" or "", value. All conditions are checked against the state before the first change, and each
 * document is tried: XX on a key that has none, and NX on one that has, read it and write nothing; a hash is told to be
 * of the wrong type before that, and must be one that can be saved. Answers {verdict, number of the failing change from 1}. ARGV is read by index and never
 * unpacked: Lua's stack holds some 8,000 values.
 */
export const TRANSACT: Script = script(`${JUDGE}${PUT}
local function trial(key, kind, version, first, value)
  local set, save = documents()
  local answer = set(key, version, first, value, kind == 'document' and 'NX' or 'XX')
  if type(answer) ~= 'table' or not answer.err then return nil end
  if not string.find(answer.err, 'wrong Redis type', 1, true) then return unwritten(answer) end
  local _, failure = save(key)
  return failure
end

for i = 1, #KEYS do
  local at = (i - 1) * ${CHANGE_ARGUMENTS}
  local kind, version, failure = look(KEYS[i])
  if failure then return failure end
  if ARGV[at + 1] == 'upsert' and not counts(version) then
    return refuse(KEYS[i], {${VERDICT.badVersion}, i})
  end
  local answer = verdict(KEYS[i], version, ARGV[at + 2], ARGV[at + 3])
  if answer ~= 0 then return refuse(KEYS[i], {answer, i}) end
  if ARGV[at + 5] == '1' then
    failure = trial(KEYS[i], kind, version, ARGV[at + 3], ARGV[at + 6])
    if failure then return failure end
  end
end
for i = 1, #KEYS do
  local at = (i - 1) * ${CHANGE_ARGUMENTS}
  if ARGV[at + 1] == 'upsert' then
    local kind, version, failure = look(KEYS[i])
    failure = failure or put(KEYS[i], kind, version, ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6])
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
