// What the tests of the etcd driver share: a store opened as the sidecar opens it, and one server per describe, with
// etcd's own HTTP gateway as the second client.
import { driver } from "#sidecar/stores/etcd/etcd.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { type EtcdOptions, type EtcdServer, startEtcd } from "#test/servers/etcd.ts";
import { type OneServer, oneServer } from "#test/stores/bench.ts";
import { decode, type Fields, ofVersion, open } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export * from "#test/stores/requests.ts";

export type Version = "v1" | "v2";
export const VERSIONS: readonly Version[] = ["v1", "v2"];

export function prepare(version: Version, given: Fields): PreparedStore {
  return decode(ofVersion(driver, version), given);
}

export function openStore(version: Version, given: Fields, signal?: AbortSignal): Promise<Store> {
  return open(prepare(version, given), signal === undefined ? {} : { signal });
}

const base64 = (text: string | Buffer): string => Buffer.from(text).toString("base64");

/** A row as the gateway shows it. */
export interface RawRow {
  readonly value: Buffer;
  readonly lease: string;
  readonly modRevision: string;
}

/** The row under a name, or null. */
export async function rawGet(server: EtcdServer, name: string): Promise<RawRow | null> {
  const { kvs } = await server.gateway("/v3/kv/range", { key: base64(name) });
  const [row] = Array.isArray(kvs) ? kvs : [];
  if (row === undefined) return null;
  const { value = "", lease = "0", mod_revision: modRevision } = row;
  return { value: Buffer.from(value, "base64"), lease, modRevision };
}

export async function rawPut(
  server: EtcdServer,
  name: string | Buffer,
  value: string | Buffer,
  lease = "0",
): Promise<void> {
  await server.gateway("/v3/kv/put", { key: base64(name), value: base64(value), lease });
}

/** A new lease of so many seconds, as Dapr makes one for each write with a TTL. */
export async function rawLease(server: EtcdServer, ttlSec: number): Promise<string> {
  const { ID } = await server.gateway("/v3/lease/grant", { TTL: ttlSec });
  return String(ID);
}

/** The leases there are. */
export async function rawLeases(server: EtcdServer): Promise<readonly string[]> {
  const { leases } = await server.gateway("/v3/lease/leases", {});
  return Array.isArray(leases) ? leases.map(({ ID }: { ID: string }) => ID) : [];
}

export interface Bench extends OneServer<EtcdServer> {
  /** A store on the server; closed after the test. */
  open(version: Version, more?: Fields): Promise<Store>;
}

/** One server for the describe that calls this. */
export function onOneServer(options: EtcdOptions = {}): Bench {
  const { server, keep } = oneServer(() => startEtcd(options));
  const open: Bench["open"] = async (version, more = {}) => {
    const store = await openStore(version, { endpoints: server().address, ...more });
    return keep(store, () => store.close());
  };
  return { server, keep, open };
}
