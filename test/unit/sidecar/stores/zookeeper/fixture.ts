// What the tests of the ZooKeeper driver share: a store opened as the sidecar opens it.

import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { driver } from "#sidecar/stores/zookeeper/zookeeper.ts";
import { decode, type Fields, listeningLog, open } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export * from "#test/stores/requests.ts";

export function prepare(given: Fields): PreparedStore {
  return decode(driver, { sessionTimeout: "4s", ...given });
}

/** What it warns of is added to `warnings`. */
export function openStore(given: Fields, warnings: string[] = []): Promise<Store> {
  return open(prepare(given), { log: listeningLog(warnings) });
}
