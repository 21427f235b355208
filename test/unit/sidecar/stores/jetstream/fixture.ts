// What the tests of the JetStream driver share: a store opened as the sidecar opens it.
import { driver } from "#sidecar/stores/jetstream/jetstream.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { decode, type Fields, listeningLog, open } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export * from "#test/stores/requests.ts";

export function prepare(given: Fields): PreparedStore {
  return decode(driver, { bucket: "state", ...given });
}

/** What it warns of is added to `warnings`. */
export function openStore(given: Fields, warnings: string[] = []): Promise<Store> {
  return open(prepare(given), { log: listeningLog(warnings) });
}
