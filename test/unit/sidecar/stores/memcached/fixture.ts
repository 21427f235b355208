// What the tests of the memcached driver share: a store opened as the sidecar opens it.
import { type Clock, systemClock } from "#kit/clock.ts";
import { driver } from "#sidecar/stores/memcached/memcached.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { decode, type Fields, open } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export * from "#test/stores/requests.ts";

export function prepare(given: Fields): PreparedStore {
  return decode(driver, given);
}

export function openStore(given: Fields, clock: Clock = systemClock): Promise<Store> {
  return open(prepare(given), { clock });
}
