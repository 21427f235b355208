// What the tests of the drivers on Azure Storage share: stores opened as the sidecar opens them, and one Azurite per
// describe, with Microsoft's own clients as the second ones.
import { driver as blobs } from "#sidecar/stores/blobstorage/blobstorage.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { driver as tables } from "#sidecar/stores/tablestorage/tablestorage.ts";
import { type Azurite, startAzurite } from "#test/servers/azurite.ts";
import { type Keeping, oneServer } from "#test/stores/bench.ts";
import { decode, type Fields, ofVersion, open as openPrepared } from "#test/stores/opening.ts";
import { keysOf } from "#test/stores/requests.ts";

export * from "#test/stores/requests.ts";

/** `version` is of blobs. */
export function prepare(kind: "blobs" | "tables", given: Fields, version = "v2"): PreparedStore {
  return decode(kind === "tables" ? tables : ofVersion(blobs, version), given);
}

export function openStore(kind: "blobs" | "tables", given: Fields, signal?: AbortSignal): Promise<Store> {
  return openPrepared(prepare(kind, given), signal === undefined ? {} : { signal });
}

/** Every key of a range, page by page, sorted. */
export async function keysIn(store: Store, scope: string, start: string, limit = 100): Promise<readonly string[]> {
  return (await keysOf(store, { scope, start }, limit)).sort();
}

export interface Bench extends Keeping {
  azurite(): Azurite;
  /** The fields of a Component on this Azurite; through other ports where proxies stand before it. */
  blobFields(port?: number): Fields;
  tableFields(port?: number): Fields;
  /** A store; closed after the test. */
  open(kind: "blobs" | "tables", more?: Fields): Promise<Store>;
}

/** One Azurite for the describe that calls this. */
export function onOneAzurite(): Bench {
  const { server: azurite, keep } = oneServer(startAzurite);
  const blobFields: Bench["blobFields"] = (port = azurite().blobPort) => {
    const { account: accountName, key: accountKey } = azurite();
    return { accountName, accountKey, containerName: "state", endpoint: `http://127.0.0.1:${port}` };
  };
  const tableFields: Bench["tableFields"] = (port = azurite().tablePort) => {
    const { account: accountName, key: accountKey } = azurite();
    return { accountName, accountKey, tableName: "state", serviceURL: `http://127.0.0.1:${port}/${accountName}` };
  };
  const open: Bench["open"] = async (kind, more = {}) => {
    const fields = kind === "blobs" ? blobFields() : tableFields();
    const store = await openStore(kind, { ...fields, ...more });
    return keep(store, () => store.close());
  };
  return { azurite, blobFields, tableFields, open, keep };
}
