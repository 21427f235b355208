// What a file looks like from outside, and whether it has been at rest long enough to count. Reads no content.
import { stat } from "node:fs/promises";
import type { Clock } from "#kit/clock.ts";

/** How long a file must stay as it is, or stay away, before that counts. */
const SETTLE_MS = 250;
/** How long a file may be missed at every look when its folder does not come to rest. */
const GONE_MAX_MS = 1200;

const GONE = "gone";
const FOLDER = "folder";

/** Differs when the file was replaced or written to. Follows links, so that a swapped `..data` shows. */
export async function signatureOf(path: string): Promise<string> {
  try {
    const found = await stat(path, { bigint: true });
    return found.isDirectory() ? FOLDER : `${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}`;
  } catch {
    // Gone, a link to nothing, or not permitted: there is nothing to read, which is all that counts here.
    return GONE;
  }
}

/** Of a file that is gone, with its folder's time: one that comes and goes between the looks is not at rest. */
export async function signatureOfGone(folder: string): Promise<string> {
  const found = await stat(folder, { bigint: true }).catch(() => null);
  return found === null ? GONE : `${GONE} ${found.mtimeNs}`;
}

/** There is a file behind the signature, neither a folder nor nothing. */
export function isFile(signature: string): boolean {
  return signature !== FOLDER && !isGone(signature);
}

function isGone(signature: string): boolean {
  return signature.startsWith(GONE);
}

interface Pending {
  readonly signature: string;
  /** Since when it has this signature. */
  readonly sinceMs: number;
  /** Since when it is gone, whatever else happens in its folder; equal to `sinceMs` when it is not. */
  readonly goneSinceMs: number;
}

/** Changes that do not count yet, by path. */
export class Settling {
  readonly #clock: Clock;
  readonly #pending = new Map<string, Pending>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes what the file looks like now; true when it has been so for long enough. */
  settled(path: string, signature: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const pending = this.#pending.get(path);
    const stillGone = pending !== undefined && isGone(pending.signature) && isGone(signature);
    const sinceMs = pending?.signature === signature ? pending.sinceMs : nowMs;
    const goneSinceMs = stillGone ? pending.goneSinceMs : sinceMs;
    this.#pending.set(path, { signature, sinceMs, goneSinceMs });
    return nowMs - sinceMs >= SETTLE_MS || (stillGone && this.goneForLong(path));
  }

  /** It was missed at every look for so long that nothing else matters. */
  goneForLong(path: string): boolean {
    const pending = this.#pending.get(path);
    if (pending === undefined || !isGone(pending.signature)) return false;
    return this.#clock.monotonicMs() - pending.goneSinceMs >= GONE_MAX_MS;
  }

  forget(path: string): void {
    this.#pending.delete(path);
  }

  paths(): Iterable<string> {
    return this.#pending.keys();
  }
}
