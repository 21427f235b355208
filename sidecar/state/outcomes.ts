// Many writes of one request, each with an outcome of its own: running them, and joining what failed into one error.
import { StoreError } from "../stores/store.ts";
import { faultOf, StateError, type StateErrorCode, storeErrorText } from "./errors.ts";
import { inParallel } from "./parallel.ts";

/** Most writes that one request has under way in a store. */
const WIDTH_MAX = 64;
/** Of the failures of one request, a joined error tells this many; the rest are counted. */
const TOLD_MAX = 10;

/** Ends a counted call as a failed one, although each of its items has been answered. */
export class ItemsFailed extends Error {
  override readonly name = "ItemsFailed";
}

/** One item of a request and what became of it. */
export interface Outcome {
  readonly key: string;
  readonly error: StoreError | StateError | null;
}

/**
 * Runs one step per item, the steps of one key in their order, so that of two writes to it the later one wins. Gives each
 * item's StoreError or StateError, or null; another error is a fault of ours and rejects.
 */
export async function runEach<Item extends { readonly key: string }>(
  items: readonly Item[],
  step: (item: Item) => Promise<void>,
): Promise<readonly Outcome[]> {
  const errors: Outcome["error"][] = new Array(items.length).fill(null);
  const lanes = [...byKey(items).values()];
  await inParallel(lanes.length, WIDTH_MAX, async (lane) => {
    for (const { item, index } of lanes[lane] ?? []) errors[index] = await errorOf(() => step(item));
  });
  return items.map(({ key }, index) => ({ key, error: errors[index] ?? null }));
}

interface Placed<Item> {
  readonly item: Item;
  readonly index: number;
}

function byKey<Item extends { readonly key: string }>(items: readonly Item[]): Map<string, Placed<Item>[]> {
  const lanes = new Map<string, Placed<Item>[]>();
  for (const [index, item] of items.entries()) {
    const lane = lanes.get(item.key);
    if (lane === undefined) lanes.set(item.key, [{ item, index }]);
    else lane.push({ item, index });
  }
  return lanes;
}

async function errorOf(step: () => Promise<void>): Promise<Outcome["error"]> {
  try {
    await step();
    return null;
  } catch (error) {
    if (error instanceof StoreError || error instanceof StateError) return error;
    throw error;
  }
}

/**
 * One error for all that failed, of which there is one at least. Only conflicts and refusals: the joined error is one (a
 * refusal wins, as with Dapr); anything else among them makes it a failure of the store, since those items need another
 * look than the others. Items that may have been written are counted apart and told first.
 */
export function joined(code: StateErrorCode, outcomes: readonly Outcome[]): unknown {
  const failed = outcomes.filter(({ error }) => error !== null);
  if (outcomes.length === 1) return failed[0]?.error;
  const faults = new Set(failed.map(({ error }) => faultOf(error)));
  const fault = faults.has("failed") ? "failed" : faults.has("invalid") ? "invalid" : "conflict";
  const unknown = failed.filter(({ error }) => mayHaveHappened(error));
  const told = [...unknown, ...failed.filter(({ error }) => !mayHaveHappened(error))]
    .slice(0, TOLD_MAX)
    .map(({ error, key }) => `key ${JSON.stringify(key)}: ${storeErrorText(error)}`);
  if (failed.length > told.length) told.push(`and ${failed.length - told.length} more`);
  const maybe = unknown.length === 0 ? "" : `, ${unknown.length} of them may have been written all the same`;
  const text = `${failed.length} of ${outcomes.length} items failed${maybe}: ${told.join("; ")}`;
  return new StateError(code, fault, text, {}, failed[0]?.error);
}

/** Whether a write that failed so may have been done all the same. */
export function mayHaveHappened(error: unknown): boolean {
  if (error instanceof StateError) return mayHaveHappened(error.cause);
  return error instanceof StoreError && (error.code === "timeout" || error.code === "unknown-outcome");
}
