// Keys of the API and of the store: the suite names rows as they lie in the store, behind the Component's key prefix, which
// the API puts before every key and takes off again.
import type { KeyRange } from "#sidecar/stores/store.ts";
import { SCOPE } from "../walking.ts";

/** The Component's `keyPrefix`. */
export const KEY_PREFIX: string = SCOPE.slice(0, -"||".length);

export function toApiKey(key: string): string {
  if (!key.startsWith(SCOPE)) throw new Error(`${key} lies outside of the key prefix: no key of the API means it`);
  return key.slice(SCOPE.length);
}

export function fromApiKey(key: string): string {
  return SCOPE + key;
}

/** The prefix that asks for a range. */
export function toApiPrefix({ scope, start }: KeyRange): string {
  if (scope !== SCOPE) throw new Error(`a walk within ${scope}: the API walks within ${SCOPE} only`);
  return toApiKey(start);
}
