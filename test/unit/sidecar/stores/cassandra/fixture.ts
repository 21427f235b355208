// What the tests of the cassandra driver share: a store opened as the sidecar opens it.
import { driver } from "#sidecar/stores/cassandra/cassandra.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { decode, type Fields, open } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export * from "#test/stores/requests.ts";

/** A node that makes a keyspace takes its time. */
const OPEN_MS_MAX = 30_000;

export function prepare(given: Fields): PreparedStore {
  return decode(driver, given);
}

export function openStore(given: Fields): Promise<Store> {
  return open(prepare(given), { signal: AbortSignal.timeout(OPEN_MS_MAX) });
}
