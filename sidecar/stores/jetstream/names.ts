// Which entry of the bucket a key has: the key with "||" as ".", as in Dapr's layout (dapr-state-stores.md 17). What NATS
// takes in no name is escaped. Where two keys would share a name, one of them is refused.
import { StoreError } from "../store.ts";

export const KEY_BYTES_MAX = 2048;
/** A name and its bucket have to fit into a line of NATS' protocol (max_control_line, 4096 bytes). */
const NAME_BYTES_MAX = 3584;

const SEPARATOR = "||";
const DOT = ".";
/** Begins an escape, which goes on with the character's number in hex and ends with "=". */
const ESCAPE = "=u";
const END = "=";
/** What only an escaped part has in it, so that "id=u7" can stay as Dapr writes it. */
const ESCAPED = /=u[\da-f]*=/;

/**
 * The name of a key. A dot in what stands before the separator, or a second separator, could be read as another key's:
 * such keys are refused unless `dotsAsSeparators`. Throws a StoreError of code `refused`.
 */
export function nameOf(key: string, dotsAsSeparators: boolean): string {
  const bytes = Buffer.byteLength(key);
  if (bytes > KEY_BYTES_MAX) throw tooLong(`a key of ${bytes} bytes, its prefix included`, KEY_BYTES_MAX);
  const parts = key.split(SEPARATOR);
  const [prefix = ""] = parts;
  if (!dotsAsSeparators && (parts.length > 2 || prefix.includes(DOT)))
    throw new StoreError(
      "refused",
      'the key could share its name in the bucket with another one, since "||" becomes a dot there; see dotsAsSeparators in docs/stores/jetstream.md',
    );
  const name = parts.map(escapePart).join(DOT);
  if (name.length > NAME_BYTES_MAX) throw tooLong(`a key that takes ${name.length} bytes`, NAME_BYTES_MAX);
  return name;
}

function tooLong(what: string, most: number): StoreError {
  return new StoreError("refused", `${what}; at most ${most} fit`);
}

/** Never empty, and without a dot where NATS takes none: at either end, or after another one. */
function escapePart(part: string): string {
  if (part === "") return escapeOf("");
  if (isPlain(part)) return part;
  const characters = [...part];
  let escaped = "";
  for (const [index, character] of characters.entries()) {
    const [before, after] = [characters[index - 1], characters[index + 1]];
    const isEdge = character === DOT && (before === undefined || after === undefined || before === DOT);
    const isMark = character === END && after === "u";
    escaped += isEdge || isMark || !isAllowed(character.charCodeAt(0)) ? escapeOf(character) : character;
  }
  return escaped;
}

function escapeOf(character: string): string {
  return `${ESCAPE}${character.codePointAt(0)?.toString(16) ?? ""}${END}`;
}

/** Whether a part is its own name. Nearly every one is, so the others may take longer. */
function isPlain(part: string): boolean {
  for (let index = 0; index < part.length; index++) if (!isAllowed(part.charCodeAt(index))) return false;
  if (part.startsWith(DOT) || part.endsWith(DOT) || part.includes("..")) return false;
  return !part.includes(ESCAPE) || !ESCAPED.test(part);
}

const ALLOWED: ReadonlySet<number> = new Set(
  Buffer.from("-/_=.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
);

/** What NATS' clients take in a key of a bucket. */
function isAllowed(unit: number): boolean {
  return ALLOWED.has(unit);
}
