// Writes, removals and reads as the core hands them to a driver, with the usual members filled in.
import type { Call, Read } from "#sidecar/stores/store.ts";

export { deletion, removal, upsert, write } from "#test/stores/requests.ts";

export const READ: Read = { strong: false, metadata: {} };

/** A call whose client never leaves. Each has a signal of its own, so that no listeners gather on one. */
export function call(): Call {
  return { signal: new AbortController().signal };
}

/** JSON text as bytes: `json({a: 1})`. */
export function json(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value));
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
