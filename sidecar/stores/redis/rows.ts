// Reading a key in Dapr's layout (dapr-state-stores.md 2b), and the form of its versions.
import type { Clock } from "#kit/clock.ts";
import { JsonFault, JsonScanner } from "#kit/json-scanner.ts";
import { type Found, StoreError } from "../store.ts";
import { RedisError } from "./errors.ts";
import type { Link } from "./link.ts";

/** What reading needs of a link. */
export type RowLink = Pick<Link, "call" | "expiryCommand" | "hasJson">;

/** Runs a task over a link to the server that has the key. */
export type RowReader = <T>(key: string, task: (link: RowLink) => Promise<T>) => Promise<T>;

/** How often a key is looked at before it is called corrupt. */
const READS_MAX = 2;

/** How a row lies under its key: "string" as early releases of Dapr wrote it, without an ETag. */
export type RowForm = "hash" | "document" | "string";

type Reader = (link: RowLink, key: string, clock: Clock) => Promise<Found | null>;

const READERS: Readonly<Record<RowForm, Reader>> = { hash: readHash, document: readDocument, string: readString };

/**
 * Reads the row under a key with two commands that leave in one write; null when there is none. The form it is thought
 * to have is tried first, then the others. Rejects with `corrupt` when the key holds none of them.
 *
 * Another client's write may fall between the two commands. If it changes or replaces the row, the expiry is the newer
 * one's; if it deletes the row, there is none. If it creates the row, the first command has found nothing and the
 * second finds a key, which looks like a hash without its fields; a string that becomes a hash looks like another type.
 * What looks corrupt is therefore read once more.
 */
export async function readRow(
  link: RowLink,
  key: string,
  clock: Clock,
  likely: RowForm = "hash",
): Promise<Found | null> {
  const forms = formsOf(link, likely);
  for (let read = 1; ; read++) {
    try {
      return await readAs(forms, link, key, clock);
    } catch (error) {
      if (read === READS_MAX || !(error instanceof StoreError) || error.code !== "corrupt") throw error;
    }
  }
}

function formsOf({ hasJson }: RowLink, likely: RowForm): readonly RowForm[] {
  if (!hasJson) return ["hash", "string"];
  return likely === "document" ? ["document", "hash", "string"] : ["hash", "document", "string"];
}

async function readAs(
  [form = "string", ...others]: readonly RowForm[],
  ...[link, key, clock]: Parameters<Reader>
): Promise<Found | null> {
  try {
    return await READERS[form](link, key, clock);
  } catch (error) {
    if (others.length === 0) throw error;
    if (isReply(error, "WRONGTYPE")) return await readAs(others, link, key, clock);
    if (form !== "document" || !isReply(error, "NOPERM")) throw error;
    // Who may not read documents still reads hashes and strings.
    return await readAs(others, link, key, clock).catch((other: unknown) => {
      throw isReply(other, "WRONGTYPE") ? error : other;
    });
  }
}

function isReply(error: unknown, reply: string): boolean {
  return error instanceof RedisError && error.reply === reply;
}

async function readHash(link: RowLink, key: string, clock: Clock): Promise<Found | null> {
  const [row, expiry] = await Promise.all([
    link.call("read", "hmget", [key, "data", "version"]),
    link.call("read", link.expiryCommand, [key]),
  ]);
  // -2: the key is not there, or expired after the first command.
  if (expiry === -2) return null;
  const [data, version] = Array.isArray(row) ? row : [];
  if (!Buffer.isBuffer(data) || !Buffer.isBuffer(version)) {
    throw new StoreError("corrupt", "required hash field 'data' or 'version' was not found");
  }
  return { bytes: data, etag: version.toString("latin1"), expiresAtMs: expiresAtMs(link, expiry, clock) };
}

/** The whole document in one answer, so that value and version belong together. */
async function readDocument(link: RowLink, key: string, clock: Clock): Promise<Found | null> {
  const [text, expiry] = await Promise.all([
    link.call("read", "json.get", [key]),
    link.call("read", link.expiryCommand, [key]),
  ]);
  if (expiry === -2) return null;
  const row = Buffer.isBuffer(text) ? membersOf(text) : null;
  if (row === null) throw new StoreError("corrupt", "the JSON document has no members 'data' and 'version' of a row");
  return { ...row, expiresAtMs: expiresAtMs(link, expiry, clock) };
}

function membersOf(text: Buffer): Pick<Found, "bytes" | "etag"> | null {
  const spans = new Map<string, Buffer>();
  try {
    const scanner = new JsonScanner(text);
    if (scanner.kind() !== "object") return null;
    scanner.object((name) => spans.set(name, scanner.span()));
  } catch (error) {
    if (error instanceof JsonFault) return null;
    throw error;
  }
  const [bytes, version] = [spans.get("data"), spans.get("version")?.toString("latin1")];
  if (bytes === undefined || version === undefined || canonicalVersion(version) !== version) return null;
  return { bytes, etag: version };
}

async function readString(link: RowLink, key: string, clock: Clock): Promise<Found | null> {
  const [data, expiry] = await Promise.all([
    link.call("read", "get", [key]),
    link.call("read", link.expiryCommand, [key]),
  ]);
  if (expiry === -2 || !Buffer.isBuffer(data)) return null;
  return { bytes: data, etag: null, expiresAtMs: expiresAtMs(link, expiry, clock) };
}

/**
 * PEXPIRETIME tells the hour itself, the same on every read, by the server's clock. Before Redis 7 there is only PTTL:
 * the hour then comes from this machine's clock and may differ by the way's delay from read to read.
 */
function expiresAtMs(link: RowLink, expiry: unknown, clock: Clock): number | null {
  if (typeof expiry !== "number" || expiry < 0) return null;
  return link.expiryCommand === "pexpiretime" ? expiry : clock.nowMs() + expiry;
}

const VERSION_DIGITS_MAX = 19;
const ZERO = 48;
const NINE = 57;

/**
 * The spelling under which Redis keeps the version that `etag` names: "007" and "+7" are 7, as Dapr reads them.
 * Null when it is no decimal integer of at most 19 digits.
 */
export function canonicalVersion(etag: string): string | null {
  const negative = etag.startsWith("-");
  let start = negative || etag.startsWith("+") ? 1 : 0;
  if (start === etag.length) return null;
  for (let i = start; i < etag.length; i++) {
    const code = etag.charCodeAt(i);
    if (code < ZERO || code > NINE) return null;
  }
  while (start < etag.length - 1 && etag.charCodeAt(start) === ZERO) start++;
  const digits = start === 0 ? etag : etag.slice(start);
  if (digits.length > VERSION_DIGITS_MAX) return null;
  return negative && digits !== "0" ? `-${digits}` : digits;
}
