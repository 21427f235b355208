// Reading many keys for one request without holding more than the request may have: in steps whose size follows from the
// size of the values seen so far.
import { type Call, type Found, type Metadata, StoreError } from "../stores/store.ts";
import { invalid } from "./errors.ts";
import { inParallel } from "./parallel.ts";
import type { StoreEntry } from "./table.ts";

/** Most reads that one bulk get has under way in a store that has no bulk read of its own. */
const WIDTH_MAX = 64;
/** Keys of the first step, and of every step at least and at most. */
const STEP_FIRST = 256;
const STEP_MIN = 16;
const STEP_MAX = 1024;
/** A step is made so long that its values are about this many bytes. */
const STEP_BYTES_AIM = 8 * 1024 * 1024;

export interface GetManyRequest {
  /** Most reads at a time; 0 or less for as many as there may be. */
  readonly parallelism: number;
  readonly metadata: Metadata;
  /** Most bytes of all values together; 0 for no limit. */
  readonly bytesMax: number;
}

export type ReadResult = Found | null | StoreError;

/** What is under each of `keys`, which are the store's own and all different. Throws bulk-get-failed beyond `bytesMax`. */
export async function getMany(
  entry: StoreEntry,
  keys: readonly string[],
  request: GetManyRequest,
  call: Call,
): Promise<ReadonlyMap<string, ReadResult>> {
  const results = new Map<string, ReadResult>();
  let bytes = 0;
  let step = STEP_FIRST;
  for (let at = 0; at < keys.length; ) {
    const asked = keys.slice(at, at + step);
    const answers = await readStep(entry, asked, request, call);
    for (const [index, key] of asked.entries()) {
      const answer = answers[index] ?? null;
      if (answer !== null && !(answer instanceof StoreError)) bytes += answer.bytes.length;
      results.set(key, answer);
    }
    if (request.bytesMax > 0 && bytes > request.bytesMax) throw tooMuch(entry, request.bytesMax);
    at += asked.length;
    step = Math.round(Math.min(STEP_MAX, Math.max(STEP_MIN, STEP_BYTES_AIM / (bytes / at + 1))));
  }
  return results;
}

async function readStep(
  entry: StoreEntry,
  keys: readonly string[],
  request: GetManyRequest,
  call: Call,
): Promise<readonly ReadResult[]> {
  const read = { strong: false, metadata: request.metadata };
  if (entry.store.getMany !== undefined) return entry.store.getMany(keys, read, call);
  const results: ReadResult[] = new Array(keys.length).fill(null);
  const width = request.parallelism > 0 ? Math.min(request.parallelism, WIDTH_MAX) : WIDTH_MAX;
  await inParallel(keys.length, width, async (index) => {
    try {
      results[index] = await entry.store.get(keys[index] ?? "", read, call);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      results[index] = error;
    }
  });
  return results;
}

function tooMuch(entry: StoreEntry, bytesMax: number): Error {
  const text = `the values have more than ${bytesMax} bytes together, which is 16 times --max-body-size; ask for fewer keys`;
  return invalid("bulk-get-failed", text, entry.name);
}
