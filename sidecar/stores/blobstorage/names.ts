// How blobs are named after keys (dapr-state-stores.md 17): by the whole key. What the
// service takes for something else is spelled, so that two keys are never one blob. Knows no request.
import { isControl, mustBeText, spell, unspell } from "../azure/key-spelling.ts";
import { StoreError } from "../store.ts";

/** Characters of a name, as the service counts them: code units of UTF-16. */
const NAME_LENGTH_MAX = 1024;
/** Of UTF-8 for a code unit of UTF-16, at most. */
const UNIT_BYTES_MAX = 3;
/** The longest key; {@link nameOf} refuses shorter ones of more characters. */
export const KEY_BYTES_MAX: number = NAME_LENGTH_MAX * UNIT_BYTES_MAX;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const DOT = 0x2e;

/**
 * The service makes a slash of a backslash, takes no control characters, and no dot at the end of a part between slashes:
 * of "a/.." it could make something else altogether.
 */
function isUnfit(code: number, next: number): boolean {
  return code === BACKSLASH || isControl(code) || (code === DOT && (next === SLASH || next === -1));
}

/** Throws a StoreError of code `refused` for a key that is too long, or empty, or no text. */
export function nameOf(key: string): string {
  mustBeText(key);
  const name = spell(key, isUnfit);
  if (name !== "" && name.length <= NAME_LENGTH_MAX) return name;
  const had = `the name of the blob would have ${name.length} characters`;
  throw new StoreError("refused", `${had}, want 1 to ${NAME_LENGTH_MAX}`);
}

/** The key of a name; null for a name that no key has. */
export function keyOf(name: string): string | null {
  const key = unspell(name);
  return spell(key, isUnfit) === name ? key : null;
}

/** What the names of all keys begin with that begin with `start`; others may begin with it too. */
export function beginningOf(start: string): string {
  mustBeText(start);
  // Whether a dot is spelled depends on what follows it.
  let end = start.length;
  while (start.charCodeAt(end - 1) === DOT) end--;
  return spell(start.slice(0, end), isUnfit);
}
