// One sidecar, called over HTTP and over gRPC: what it refuses over one protocol it refuses over the other, in the same
// words. Whether values pass from one to the other, the suite over each of them proves with its second stores.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Store } from "#sidecar/stores/store.ts";
import type { WireSidecar } from "#test/wire/sidecar.ts";
import { mustFind } from "./checks.ts";
import { etcdV1, etcdV2 } from "./etcd.ts";
import { inMemory } from "./in-memory.ts";
import { mariadb } from "./mysql.ts";
import { grpc, grpcBulk } from "./over/grpc.ts";
import { http, httpBulk } from "./over/http.ts";
import { COMPONENT, startOn } from "./over/over.ts";
import { ApiError } from "./over/refusal.ts";
import { postgresqlV1, postgresqlV2 } from "./postgresql.ts";
import { redisServer } from "./redis.ts";
import { call, deletion, json, READ, removal, upsert, write } from "./requests.ts";
import { sqliteFile } from "./sqlite.ts";
import type { Running, Subject } from "./subject.ts";
import { SCOPE } from "./walking.ts";

/** Calls that are refused, whatever the store; each is given its own key, under which lies a value, and a stale ETag. */
const REFUSED: Readonly<Record<string, (store: Store, key: string, stale: string) => Promise<unknown> | undefined>> = {
  "a get of a key with two bars": (store, key) => store.get(`${key}||b`, READ, call()),
  "a save of a key with two bars": (store, key) => store.set(write(`${key}||b`, json(1)), call()),
  "a delete of a key with two bars": (store, key) => store.remove(removal(`${key}||b`), call()),
  "a bulk get of a key with two bars": (store, key) => store.getMany?.([key, `${key}||b`], READ, call()),
  "a transaction with a key with two bars": (store, key) =>
    store.transact?.([upsert(key, json(1)), deletion(`${key}||b`)], call()),
  "a stale ETag": (store, key, etag) => store.set(write(key, json(1), { etag }), call()),
  "a stale ETag of a delete": (store, key, etag) => store.remove(removal(key, { etag }), call()),
  "a stale ETag in a transaction": (store, key, etag) =>
    store.transact?.([upsert(`${key}-b`, json(1)), deletion(key, { etag })], call()),
  "a foreign ETag": (store, key) => store.set(write(key, json(1), { etag: "bad-etag" }), call()),
  "a foreign ETag of a delete": (store, key) => store.remove(removal(key, { etag: "bad-etag" }), call()),
  "a foreign ETag in a transaction": (store, key) =>
    store.transact?.([upsert(key, json(1), { etag: "bad-etag" })], call()),
  "an ETag of a key that is not there": (store, key, etag) =>
    store.set(write(`${key}-missing`, json(1), { etag }), call()),
  "a first-write over a value": (store, key) => store.set(write(key, json(1), { firstWrite: true }), call()),
  "a first-write over a value in a transaction": (store, key) =>
    store.transact?.([upsert(key, json(1), { firstWrite: true })], call()),
  "a TTL that is none": (store, key) => store.set(write(key, json(1), { metadata: { ttlInSeconds: "soon" } }), call()),
  "a TTL that is too long": (store, key) => store.set(write(key, json(1), { ttlSec: 2 ** 31 }), call()),
  "a TTL that is none in a transaction": (store, key) =>
    store.transact?.([upsert(key, json(1), { metadata: { ttlInSeconds: "-2" } })], call()),
  "an outbox projection": (store, key) =>
    store.transact?.([upsert(key, json(1), { metadata: { "outbox.projection": "true" } })], call()),
  "an empty key in a transaction": (store) => store.transact?.([upsert(SCOPE, json(1))], call()),
  "a page of too many rows": (store, key) => list(store, key, { limit: 1001 }),
  "a page of less than a row": (store, key) => list(store, key, { limit: -1 }),
  "a token of no page": (store, key) => list(store, key, { after: "bad-token" }),
  "a page of keys with two bars": (store, key) => list(store, `${key}||`, {}),
  "a count of keys with two bars": (store, key) => store.count?.({ scope: SCOPE, start: `${key}||` }, call()),
  "a removal of keys with two bars": (store, key) =>
    store.removeRange?.({ scope: SCOPE, start: `${key}||` }, 1, call()),
  "a removal of too many keys": (store, key) => store.removeRange?.({ scope: SCOPE, start: key }, 100_001, call()),
  "a removal of all keys by no prefix": (store) => store.removeRange?.({ scope: SCOPE, start: SCOPE }, 1, call()),
};

function list(store: Store, start: string, asked: { limit?: number; after?: string }): Promise<unknown> | undefined {
  const { limit = 1, after = null } = asked;
  return store.list?.({ range: { scope: SCOPE, start }, after, limit, values: false }, call());
}

/** What a call was refused with: code, errorCode and text. */
async function refusal(promise: Promise<unknown> | undefined): Promise<object> {
  try {
    return { answered: await promise };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { code: error.code, errorCode: error.errorCode, message: error.message.replace(WRAPPING, "") };
  }
}

/** What Dapr puts before the text of an illegal key over HTTP (dapr-state-api.md 1.10). */
const WRAPPING = "api error: code = InvalidArgument desc = ";

const APIS = [http, httpBulk, grpc, grpcBulk];

function both(subject: Subject): void {
  if (subject.skip !== null) {
    const cases = Object.keys(REFUSED).length;
    it.skip(`${subject.name} answers the same over both protocols in ${cases} cases (not run: ${subject.skip})`);
    return;
  }
  describe(`${subject.name} over HTTP and gRPC`, () => {
    let running: Running | null = null;
    let wire: WireSidecar | null = null;
    const stores = new Map<string, Store>();

    before(async () => {
      running = await subject.start();
      wire = await startOn(subject, running.properties);
      const { etagMayBeQuoted } = subject.declares.traits;
      for (const api of APIS) stores.set(api.name, await api.connect(wire, COMPONENT, { etagMayBeQuoted }));
    });
    after(async () => {
      for (const store of stores.values()) await store.close();
      await wire?.stop();
      await running?.stop();
    });

    for (const [what, run] of Object.entries(REFUSED)) {
      it(`refuses ${what} in the same words`, async () => {
        const key = `${SCOPE}${randomUUID()}`;
        const refusals = new Map<string, object>();
        for (const [name, store] of stores) {
          await store.set(write(key, json(1)), call());
          const { etag } = await mustFind(store, key);
          await store.set(write(key, json(2)), call());
          refusals.set(name, await refusal(run(store, key, etag ?? "")));
        }
        const [first] = refusals.values();
        assert.ok(first !== undefined && "code" in first, JSON.stringify(first));
        for (const [name, each] of refusals) assert.deepEqual(each, first, name);
      });
    }
  });
}

for (const subject of [
  inMemory,
  sqliteFile,
  etcdV1,
  etcdV2,

  redisServer,
  postgresqlV1,
  postgresqlV2,
  mariadb,
])
  both(subject);
