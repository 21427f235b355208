// The table in Cassandra, both ways: what this driver writes, read with CQL, and rows as Dapr writes them, read and updated
// here.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Client, types } from "cassandra-driver";
import type { Found, Store } from "#sidecar/stores/store.ts";
import { type CassandraCluster, describeWithCassandra, startCassandra } from "#test/servers/cassandra.ts";
import { call, openStore, read, removal, textOf, write } from "./fixture.ts";

const KEYSPACE = "layout";
const HOUR_SEC = 3600;

describeWithCassandra("the layout in Cassandra", function (this: Mocha.Suite) {
  this.timeout(300_000);
  let cluster: CassandraCluster;
  let dapr: Client;
  before(async () => {
    cluster = await startCassandra();
    dapr = cluster.openClient();
  });
  after(async () => {
    await dapr.shutdown();
    await cluster.stop();
  });

  const opened: Store[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
  });

  /** A table of its own, for a cluster that was named by address keeps what is in it. */
  const newTable = (): string => `t${randomUUID().replaceAll("-", "")}`;

  async function open(more: Readonly<Record<string, string>>): Promise<Store> {
    const { hosts, port } = cluster;
    const store = await openStore({ hosts, port: String(port), keyspace: KEYSPACE, consistency: "Quorum", ...more });
    opened.push(store);
    return store;
  }

  async function rows(cql: string, parameters: readonly unknown[] = []): Promise<readonly types.Row[]> {
    return (await dapr.execute(cql, [...parameters])).rows;
  }

  async function columns(table: string): Promise<readonly string[]> {
    const cql = "SELECT column_name, kind, type FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";
    return (await rows(cql, [KEYSPACE, table])).map((row) => `${row.column_name} ${row.kind} ${row.type}`).sort();
  }

  async function mustFind(store: Store, key: string): Promise<Found> {
    const found = await store.get(key, read, call);
    assert.ok(found !== null, `no value under ${key}`);
    return found;
  }

  /** As Dapr writes it (dapr-state-stores.md 11b). */
  const daprWrites = (table: string, key: string, text: string, using = ""): Promise<unknown> =>
    rows(`INSERT INTO ${KEYSPACE}.${table} (key, value) VALUES (?, ?) ${using}`, [key, Buffer.from(text)]);

  it("is a text key and a blob, made where there is none", async () => {
    const table = newTable();
    const store = await open({ table });
    assert.deepEqual(await columns(table), ["key partition_key text", "value regular blob"]);
    await store.set(write("app||k", '{"b":1, "a":2}'), call);
    const [row, ...more] = await rows(`SELECT key, value, ttl(value) AS ttl FROM ${KEYSPACE}.${table}`);
    assert.deepEqual([row?.key, String(row?.value), row?.ttl, more], ["app||k", '{"b":1, "a":2}', null, []]);
    await open({ table });
  });

  it("is made with the replicas that were asked for", async () => {
    const keyspace = newTable();
    await open({ keyspace, replicationFactor: "2", consistency: "One" });
    const [row] = await rows("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", [keyspace]);
    assert.match(JSON.stringify(row?.replication), /SimpleStrategy.*"replication_factor":"2"/);
    await rows(`DROP KEYSPACE ${keyspace}`);
  });

  it("is read as Dapr writes it, and lost when Dapr deletes it", async () => {
    const table = newTable();
    const store = await open({ table });
    await daprWrites(table, "app||theirs", '"hi"');
    const found = await mustFind(store, "app||theirs");
    assert.deepEqual([String(found.bytes), found.etag, found.expiresAtMs], ['"hi"', null, null]);
    await daprWrites(table, "app||theirs", '"ho"', `USING TTL ${HOUR_SEC}`);
    const expiresAtMs = (await mustFind(store, "app||theirs")).expiresAtMs ?? 0;
    assert.ok(Math.abs(expiresAtMs - Date.now() - HOUR_SEC * 1000) < 10_000, String(expiresAtMs));
    await store.set(write("app||theirs", '"mine"'), call);
    assert.equal((await mustFind(store, "app||theirs")).expiresAtMs, null);
    await rows(`DELETE FROM ${KEYSPACE}.${table} WHERE key = ?`, ["app||theirs"]);
    assert.equal(await textOf(store, "app||theirs"), null);
  });

  it("keeps a TTL with the value, a second longer than asked", async () => {
    const table = newTable();
    for (const etags of ["false", "true"]) {
      const store = await open({ table, etags });
      await store.set(write("app||ttl", "1", { ttlSec: HOUR_SEC }), call);
      const [row] = await rows(`SELECT ttl(value) AS ttl FROM ${KEYSPACE}.${table} WHERE key = ?`, ["app||ttl"]);
      assert.ok(row?.ttl > HOUR_SEC - 60 && row?.ttl <= HOUR_SEC + 1, `${row?.ttl} with etags ${etags}`);
    }
  });

  it("tells the same expiry with every read", async () => {
    const store = await open({ table: newTable() });
    await store.set(write("k", "1", { ttlSec: HOUR_SEC }), call);
    const told = new Set<number | null>();
    for (let turn = 0; turn < 20; turn++) {
      told.add((await mustFind(store, "k")).expiresAtMs);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    // A node reads its clock twice for an answer: at the end of a second the two can differ.
    const [first = 0, ...others] = [...told].map(Number).sort();
    assert.ok(others.length <= 1 && others.every((other) => other - first === 1000), [...told].join());
  });

  it("gets a column for ETags when they are asked for, beside the rows that are there", async () => {
    const table = newTable();
    await open({ table });
    await daprWrites(table, "app||old", "1");
    const store = await open({ table, etags: "true" });
    assert.deepEqual(await columns(table), ["etag regular text", "key partition_key text", "value regular blob"]);
    await store.set(write("app||k", "2"), call);
    const [row] = await rows(`SELECT value, etag FROM ${KEYSPACE}.${table} WHERE key = ?`, ["app||k"]);
    assert.match(row?.etag, /^[\da-f]{8}-[\da-f]{4}-4/);
    assert.deepEqual([String(row?.value), (await mustFind(store, "app||k")).etag], ["2", row?.etag]);
    const plain = await open({ table });
    assert.equal(await textOf(plain, "app||k"), "2");
  });

  it("gets that column once from many who ask for it at the same time", async () => {
    const table = newTable();
    await open({ table });
    await Promise.all(Array.from({ length: 4 }, () => open({ table, etags: "true" })));
    assert.equal((await columns(table)).length, 3);
  });

  it("gives rows of Dapr's an ETag by the moment of their writing, which counts", async () => {
    const table = newTable();
    const store = await open({ table, etags: "true" });
    await daprWrites(table, "k", "1");
    const first = await mustFind(store, "k");
    assert.match(first.etag ?? "", /^w\d{16}$/);
    await daprWrites(table, "k", "2");
    const stale = write("k", "3", { etag: first.etag });
    await assert.rejects(store.set(stale, call), { code: "etag-mismatch" });
    await assert.rejects(store.remove(removal("k", { etag: first.etag }), call), { code: "etag-mismatch" });
    assert.equal(await textOf(store, "k"), "2");
    await assert.rejects(store.set(write("k", "3", { firstWrite: true }), call), { code: "etag-mismatch" });
    await store.set(write("k", "3", { etag: (await mustFind(store, "k")).etag }), call);
    assert.equal(await textOf(store, "k"), "3");
    await daprWrites(table, "l", "1");
    await store.remove(removal("l", { etag: (await mustFind(store, "l")).etag }), call);
    assert.equal(await textOf(store, "l"), null);
  });

  it("tells that Dapr has replaced a value that has an ETag", async () => {
    const table = newTable();
    const store = await open({ table, etags: "true" });
    await store.set(write("k", "1"), call);
    const ours = await mustFind(store, "k");
    await daprWrites(table, "k", "2");
    const theirs = await mustFind(store, "k");
    assert.notEqual(theirs.etag, ours.etag);
    await store.set(write("k", "3", { etag: theirs.etag }), call);
    assert.equal(await textOf(store, "k"), "3");
    assert.doesNotMatch((await mustFind(store, "k")).etag ?? "w", /^w/);
  });

  it("takes no ETag of a value that Dapr has replaced since", async () => {
    const table = newTable();
    const store = await open({ table, etags: "true" });
    for (const key of ["set", "removed"]) await store.set(write(key, "1"), call);
    const stale = (await mustFind(store, "set")).etag;
    const removed = (await mustFind(store, "removed")).etag;
    for (const key of ["set", "removed"]) await daprWrites(table, key, "2");
    await assert.rejects(store.set(write("set", "3", { etag: stale }), call), { code: "etag-mismatch" });
    await assert.rejects(store.remove(removal("removed", { etag: removed }), call), { code: "etag-mismatch" });
    assert.deepEqual([await textOf(store, "set"), await textOf(store, "removed")], ["2", "2"]);
  });

  it("says so when a clock that was ahead has written a value, for that outlives every write until then", async () => {
    const table = newTable();
    const store = await open({ table, etags: "true" });
    const inAnHour = (Date.now() + HOUR_SEC * 1000) * 1000;
    await daprWrites(table, "k", "1", `USING TIMESTAMP ${inAnHour}`);
    const { etag } = await mustFind(store, "k");
    const ahead = { code: "unavailable", message: /written by a clock that is \d+ ms ahead of cassandra's/ };
    await assert.rejects(store.set(write("k", "2", { etag }), call), ahead);
    await assert.rejects(store.remove(removal("k", { etag }), call), ahead);
    assert.equal(await textOf(store, "k"), "1");
  });

  it("tells an empty value from none", async () => {
    const table = newTable();
    const store = await open({ table, etags: "true" });
    await store.set(write("k", ""), call);
    await assert.rejects(store.set(write("k", "1", { firstWrite: true }), call), { code: "etag-mismatch" });
    await daprWrites(table, "l", "");
    await store.set(write("l", "2", { etag: (await mustFind(store, "l")).etag }), call);
    assert.deepEqual([await textOf(store, "k"), await textOf(store, "l")], ["", "2"]);
  });

  it("lets one of many win who write over the same row of Dapr's", async () => {
    const table = newTable();
    const store = await open({ table, etags: "true" });
    await daprWrites(table, "k", "0");
    const { etag } = await mustFind(store, "k");
    const attempts = Array.from({ length: 6 }, (_, index) => store.set(write("k", String(index + 1), { etag }), call));
    const won = (await Promise.allSettled(attempts)).map(({ status }) => status === "fulfilled");
    assert.equal(won.filter(Boolean).length, 1);
    assert.equal(await textOf(store, "k"), String(won.indexOf(true) + 1));
  });

  it("counts a row as missing of which an expired value has left no more than a mark", async () => {
    const table = newTable();
    const store = await open({ table, etags: "true" });
    await daprWrites(table, "k", "1");
    await rows(`UPDATE ${KEYSPACE}.${table} USING TTL 1 SET value = ? WHERE key = ?`, [Buffer.from("2"), "k"]);
    const end = Date.now() + 30_000;
    while ((await textOf(store, "k")) !== null && Date.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await textOf(store, "k"), null);
    assert.equal((await rows(`SELECT key FROM ${KEYSPACE}.${table}`)).length, 1);
    await store.set(write("k", "3", { firstWrite: true }), call);
    assert.equal(await textOf(store, "k"), "3");
  });

  it("is refused in a table of another kind, which stays as it is", async () => {
    const tables: readonly (readonly [string, RegExp])[] = [
      ["key text PRIMARY KEY, value text", /for column value regular text, want regular blob/],
      ["key text PRIMARY KEY, other blob", /for column value no such column, want regular blob/],
      ["key text, part int, value blob, PRIMARY KEY (key, part)", /the key of table .* has more than the column key/],
      ["key text PRIMARY KEY, value blob, etag int", /for column etag regular int, want regular text/],
    ];
    for (const [definition, message] of tables) {
      const table = newTable();
      await rows(`CREATE TABLE ${KEYSPACE}.${table} (${definition})`);
      const before = await columns(table);
      await assert.rejects(open({ table, etags: String(definition.includes("etag")) }), { code: "refused", message });
      assert.deepEqual(await columns(table), before);
    }
  });

  it("keeps the capitals of quoted names", async () => {
    const table = `T${newTable()}`;
    const store = await open({ table: `"${table}"`, keyspace: KEYSPACE.toUpperCase() });
    await store.set(write("k", "1"), call);
    assert.equal((await rows(`SELECT key FROM ${KEYSPACE}."${table}"`)).length, 1);
  });

  it("takes no TTL that Cassandra would not keep, and writes nothing", async () => {
    const store = await open({ table: newTable() });
    for (const ttlSec of [2_147_483_647, 630_720_000, 630_719_998])
      await assert.rejects(store.set(write("k", "1", { ttlSec }), call), { code: "refused" });
    assert.equal(await textOf(store, "k"), null);
  });

  it("answers many bulk reads at the same time", async () => {
    const store = await open({ table: newTable() });
    const keys = Array.from({ length: 200 }, (_, index) => `k${index}`);
    const answers = await Promise.all(Array.from({ length: 40 }, () => store.getMany?.(keys, read, call)));
    assert.deepEqual(
      answers.flatMap((rows) => rows ?? []).filter((row) => row !== null),
      [],
    );
    assert.equal(answers.length, 40);
  });

  it("takes no key that is too long, and answers for the others of a bulk read", async () => {
    const store = await open({ table: newTable() });
    const long = "k".repeat(65_536);
    await store.set(write("k", "1"), call);
    await assert.rejects(store.remove(removal(long), call), { code: "refused", message: /65536 bytes/ });
    const [first, second, third] = (await store.getMany?.(["k", long, "none"], read, call)) ?? [];
    assert.ok(first !== null && first !== undefined && !(first instanceof Error));
    assert.deepEqual([second instanceof Error, third], [true, null]);
  });
});
