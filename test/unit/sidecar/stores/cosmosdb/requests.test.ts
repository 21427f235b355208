// What goes over the wire: paths, headers, bodies and signatures, as an endpoint of our own sees them. Microsoft's own
// client sends the same things to it, so that what is compared with is not ours.
import assert from "node:assert/strict";
import { type Container, CosmosClient } from "@azure/cosmos";
import type { Store } from "#sidecar/stores/store.ts";
import {
  call,
  deletion,
  isSigned,
  KEY,
  onOneEndpoint,
  type Recorded,
  read,
  removal,
  upsert,
  write,
} from "./fixture.ts";

const PARTITION = "x-ms-documentdb-partitionkey";
const DOCUMENTS = "/dbs/d/colls/c/docs";

describe("the requests of the Cosmos DB driver", () => {
  const { endpoint, open } = onOneEndpoint();

  /** The one request that `work` sends, which is answered with a success. */
  async function sent(
    store: Store,
    work: (store: Store) => Promise<unknown> | undefined,
    body?: unknown,
  ): Promise<Recorded> {
    endpoint().reply = () => ({ status: 200, body });
    await work(store);
    const [request, ...more] = endpoint().taken();
    assert.deepEqual([request !== undefined, more.length], [true, 0]);
    assert.ok(request !== undefined);
    return request;
  }

  const document = (value: unknown, more: object = {}): object => ({
    id: "app||k",
    value,
    isBinary: false,
    partitionKey: "app||k",
    ...more,
  });

  it("look at the container once at the start, and with every ping", async () => {
    const server = endpoint();
    const store = await open();
    const { method, path, headers } = await sent(store, (each) => each.ping(call));
    assert.deepEqual([method, path, headers["x-ms-version"]], ["GET", "/dbs/d/colls/c", "2020-07-15"]);
    assert.match(String(headers["user-agent"]), /^pannier\//);
    assert.equal(server.requests.length, 0);
  });

  it("read a document in its partition, by a path with everything escaped", async () => {
    const store = await open();
    const { method, path, headers } = await sent(store, (each) => each.get("app||é?#% &", read, call), document(1));
    assert.deepEqual([method, path], ["GET", `${DOCUMENTS}/app%7C%7C%C3%A9%3F%23%25%20%26`]);
    assert.equal(headers[PARTITION], '["app||\\u00e9?#% &"]');
  });

  it("upsert, create, replace and delete under the conditions that a call has", async () => {
    const store = await open();
    const requests = [
      await sent(store, (each) => each.set(write("app||k", "1"), call)),
      await sent(store, (each) => each.set(write("app||k", "1", { firstWrite: true }), call)),
      await sent(store, (each) => each.set(write("app||k", "1", { etag: '"e-1"', firstWrite: true }), call)),
      await sent(store, (each) => each.remove(removal("app||k"), call)),
      await sent(store, (each) => each.remove(removal("app||k", { etag: '"e-1"' }), call)),
    ];
    const shapes = requests.map(({ method, path, headers }) => [
      method,
      path.slice(DOCUMENTS.length),
      headers["x-ms-documentdb-is-upsert"],
      headers["if-match"],
      headers["if-none-match"],
      headers[PARTITION],
    ]);
    const [own, partition] = ["/app%7C%7Ck", '["app||k"]'];
    assert.deepEqual(shapes, [
      ["POST", "", "True", undefined, undefined, partition],
      ["POST", "", undefined, undefined, undefined, partition],
      ["PUT", own, undefined, '"e-1"', undefined, partition],
      ["DELETE", own, undefined, undefined, undefined, partition],
      ["DELETE", own, undefined, '"e-1"', undefined, partition],
    ]);
    assert.deepEqual(
      requests.slice(0, 3).map(({ body }) => JSON.parse(body)),
      new Array(3).fill(document(1)),
    );
    assert.ok(requests.every(({ headers }) => headers.prefer === "return=minimal"));
  });

  it("delete with first-write under an ETag that no document has, another one each time", async () => {
    const store = await open();
    const etags = new Set<unknown>();
    for (const _turn of [1, 2]) {
      const { headers } = await sent(store, (each) => each.remove(removal("k", { firstWrite: true }), call));
      assert.match(String(headers["if-match"]), /^"[\da-f-]{36}"$/);
      etags.add(headers["if-match"]);
    }
    assert.equal(etags.size, 2);
  });

  it("go to the partition that the metadata names, an empty one too", async () => {
    const store = await open();
    for (const partitionKey of ["app||Account||alice", ""]) {
      const metadata = { partitionKey };
      const requests = [
        await sent(store, (each) => each.get("k", { strong: true, metadata }, call), document(1)),
        await sent(store, (each) => each.set(write("k", "1", { metadata }), call)),
        await sent(store, (each) => each.set(write("k", "1", { metadata, etag: "e" }), call)),
        await sent(store, (each) => each.remove(removal("k", { metadata }), call)),
        await sent(store, (each) => each.getMany?.(["k", "l"], { strong: false, metadata }, call), { Documents: [] }),
        await sent(store, (each) => each.transact?.([upsert("k", "1", { metadata })], call), [{ statusCode: 200 }]),
      ];
      for (const { headers } of requests) assert.equal(headers[PARTITION], JSON.stringify([partitionKey]));
      for (const { body } of requests.slice(1, 3)) assert.equal(JSON.parse(body).partitionKey, partitionKey);
    }
  });

  it("carry the TTL in the document, and none where none was asked for", async () => {
    const store = await open();
    const ttlOf = async (ttlSec: number | null): Promise<unknown> =>
      JSON.parse((await sent(store, (each) => each.set(write("k", "1", { ttlSec }), call))).body).ttl;
    assert.deepEqual([await ttlOf(5), await ttlOf(null)], [5, undefined]);
  });

  it("ask for many documents in one query over all partitions", async () => {
    const store = await open();
    const documents = ["b", "a"].map((id) => ({ id, value: id, isBinary: false, partitionKey: id, _etag: '"1"' }));
    // The same id in another partition is another document.
    const elsewhere = { id: "a", value: "elsewhere", isBinary: false, partitionKey: "p", _etag: '"2"' };
    endpoint().reply = () => ({ status: 200, body: { Documents: [...documents, elsewhere] } });
    const found = (await store.getMany?.(["a", "none", "b", "a"], read, call)) ?? [];
    const texts = found.map((row) => (row === null || row instanceof Error ? row : Buffer.from(row.bytes).toString()));
    assert.deepEqual(texts, ['"a"', null, '"b"', '"a"']);
    const [request, ...more] = endpoint().taken();
    assert.deepEqual([more.length, request?.method, request?.path], [0, "POST", DOCUMENTS]);
    assert.equal(request?.headers["content-type"], "application/query+json");
    assert.equal(request?.headers["x-ms-documentdb-isquery"], "True");
    assert.equal(request?.headers["x-ms-documentdb-query-enablecrosspartition"], "True");
    assert.equal(request?.headers[PARTITION], undefined);
    assert.deepEqual(JSON.parse(request?.body ?? ""), {
      query: "SELECT * FROM c WHERE c.id IN (@id0, @id1, @id2)",
      parameters: ["a", "none", "b"].map((value, index) => ({ name: `@id${index}`, value })),
    });
  });

  it("ask for a hundred documents at a time, and for every page of the answer", async () => {
    const store = await open();
    endpoint().reply = ({ headers }) =>
      headers["x-ms-continuation"] === undefined
        ? { status: 200, body: { Documents: [] }, headers: { "x-ms-continuation": "next" } }
        : { status: 200, body: { Documents: [] } };
    const keys = Array.from({ length: 250 }, (_, index) => `k${index}`);
    assert.deepEqual(await store.getMany?.(keys, read, call), new Array(250).fill(null));
    const sizes = endpoint()
      .taken()
      .map(({ body }) => JSON.parse(body).parameters.length);
    assert.deepEqual(sizes, [100, 100, 100, 100, 50, 50]);
  });

  it("are signed by the key, whatever the names hold, as Microsoft's own client signs", async () => {
    const store = await open({ database: "my db", collection: "état" });
    endpoint().reply = () => ({ status: 200, body: document(1) });
    await store.get("app||a b+c/é", read, call);
    await store.set(write("app||k", "1"), call);
    await store.set(write("app||k", "1", { etag: "e" }), call);
    await store.remove(removal("app||k"), call);
    await store.ping(call);
    const ours = endpoint().taken();
    assert.equal(ours.length, 5);
    for (const request of ours) assert.ok(isSigned(request, KEY), `${request.method} ${request.path}`);
    assert.equal(
      ours.some((request) => isSigned(request, Buffer.from("other").toString("base64"))),
      false,
    );
    const theirs = await microsofts((container) => container.item("app||a b", "app||a b").read());
    assert.ok(isSigned(theirs, KEY));
  });

  /** The one request that Microsoft's client sends. */
  async function microsofts(work: (container: Container) => Promise<unknown>): Promise<Recorded> {
    const { url = "", masterKey: key = "" } = endpoint().fields;
    const connectionPolicy = { enableEndpointDiscovery: false, retryOptions: { maxRetryAttemptCount: 0 } };
    const client = new CosmosClient({ endpoint: url, key, connectionPolicy });
    endpoint().taken();
    endpoint().reply = () => ({ status: 200, body: [] });
    try {
      await work(client.database("d").container("c"));
      const requests = endpoint()
        .taken()
        .filter(({ path }) => path.includes("/docs"));
      const [request, ...more] = requests;
      assert.ok(request !== undefined && more.length === 0, `${requests.length} requests`);
      return request;
    } finally {
      client.dispose();
    }
  }

  it("send a batch with the body and the headers that Microsoft's client sends", async () => {
    const store = await open();
    const metadata = { partitionKey: "p" };
    const changes = [
      upsert("a", '{"n":1}', { metadata }),
      upsert("b", "2", { metadata, firstWrite: true }),
      upsert("c", "3", { metadata, etag: '"e-3"' }),
      deletion("d", { metadata, etag: '"e-4"' }),
      deletion("e", { metadata }),
    ];
    const statuses = changes.map(() => ({ statusCode: 200 }));
    const ours = await sent(store, (each) => each.transact?.(changes, call), statuses);
    const body = (id: string, value: { n: number } | number) => ({ id, value, isBinary: false, partitionKey: "p" });
    // Their type of a delete lacks the condition, which their code sends.
    const conditional = { operationType: "Delete" as const, id: "d", ifMatch: '"e-4"' };
    const theirs = await microsofts((container) =>
      container.items.batch(
        [
          { operationType: "Upsert", resourceBody: body("a", { n: 1 }) },
          { operationType: "Create", resourceBody: body("b", 2) },
          { operationType: "Replace", id: "c", resourceBody: body("c", 3), ifMatch: '"e-3"' },
          conditional,
          { operationType: "Delete", id: "e" },
        ],
        "p",
      ),
    );
    assert.deepEqual(JSON.parse(ours.body), JSON.parse(theirs.body));
    assert.deepEqual([ours.method, ours.path], [theirs.method, theirs.path]);
    const told = ({ headers }: Recorded): unknown[] =>
      ["x-ms-cosmos-is-batch-request", "x-ms-cosmos-batch-atomic"].map((name) => String(headers[name]).toLowerCase());
    assert.deepEqual(told(ours), ["true", "true"]);
    assert.deepEqual(told(ours), told(theirs));
    assert.equal(ours.headers[PARTITION], '["p"]');
  });
});
