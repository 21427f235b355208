// How blobs are named after keys (dapr-state-stores.md 17): by the whole key, behind the Component's `prefix`. What the
// service takes for something else is spelled, so that two keys are never one blob. Knows no request.
import { isControl, markedCode, spell, unspell } from "../azure/key-spelling.ts";
import { StoreError } from "../store.ts";

/** Characters of a name, as the service counts them. */
const NAME_LENGTH_MAX = 1024;
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

export class BlobNames {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix === "" ? "" : `${prefix.replace(/\/$/, "")}/`;
  }

  /** Bytes of the longest key that fits, whatever characters it has. */
  get keyBytesMax(): number {
    return NAME_LENGTH_MAX - this.#prefix.length;
  }

  /** Throws a StoreError of code `refused` for a key that is too long, or empty. */
  nameOf(key: string): string {
    const name = this.#prefix + this.#spelled(key);
    if (key === "" || name.length > NAME_LENGTH_MAX)
      throw new StoreError(
        "refused",
        `the name of the blob would have ${name.length} characters, want 1 to ${NAME_LENGTH_MAX}`,
      );
    return name;
  }

  /** The key of a name; null for a name that no key has. */
  keyOf(name: string): string | null {
    if (!name.startsWith(this.#prefix)) return null;
    const spelled = name.slice(this.#prefix.length);
    const key = unspell(spelled);
    return this.#spelled(key) === spelled ? key : null;
  }

  /** What the names of all keys begin with that begin with `start`; others may begin with it too. */
  beginningOf(start: string): string {
    // Whether a dot is spelled depends on what follows it.
    let end = start.length;
    while (start.charCodeAt(end - 1) === DOT) end--;
    return this.#prefix + this.#spelled(start.slice(0, end));
  }

  #spelled(key: string): string {
    const spelled = spell(key, isUnfit);
    // Dapr drops a slash at the beginning where there is a prefix, and "/a" and "a" are one blob.
    return this.#prefix !== "" && spelled.startsWith("/") ? markedCode(SLASH) + spelled.slice(1) : spelled;
  }
}
