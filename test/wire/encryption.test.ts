// Encrypted stores over HTTP, with a look past the sidecar at what is really in the store (dapr-state-api.md 6).
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Redis } from "ioredis";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { ask, errorOf, STORE, save } from "./client.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";
import { until } from "./until.ts";

const OLD = "000102030405060708090a0b0c0d0e0f";
const NEXT = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
/** By OLD under the name "old", made with Python's cryptography: what Dapr keeps of the JSON {"a":1,"b":2}. */
const FROM_DAPR = "ZGVmZ2hpamtsbW5vdwM+/ro4idr5BGVN+bUVhTxcoSpplUGVizsCpw==||old";
const MARKER = "find-me-if-you-can";

interface Keys {
  readonly primary: string;
  readonly secondary?: string;
}

/** A store whose keys are secrets of the names given. */
function encrypted(type: string, keys: Keys, metadata: Readonly<Record<string, string>> = {}): string {
  const entry = (field: string, name: string): string =>
    `    - name: ${field}\n      secretKeyRef:\n        name: ${name}\n        key: ${name}\n`;
  const secondary = keys.secondary === undefined ? "" : entry("secondaryEncryptionKey", keys.secondary);
  const head = component("statestore", type, { keyPrefix: "none", ...metadata });
  return `${head}${entry("primaryEncryptionKey", keys.primary)}${secondary}auth:\n  secretStore: vault\n`;
}

/** A sidecar with a file of secrets, which stands in `folder` as what the manifest keeps there does. */
async function start(
  folder: string,
  manifest: string,
  secrets: Readonly<Record<string, string>>,
): Promise<WireSidecar> {
  const secretsFile = join(folder, "secrets.json");
  await writeFile(secretsFile, JSON.stringify(secrets));
  const vault = component("vault", "secretstores.local.file", { secretsFile });
  return startWire({ manifests: { "vault.yaml": vault, "store.yaml": manifest } });
}

const makeFolder = (): Promise<string> => mkdtemp(join(tmpdir(), "pannier-encryption-"));

const ENCRYPTED = /^[A-Za-z0-9+/]{38,}={0,2}\|\|old$/;

describe("an encrypted store over HTTP", () => {
  let folder: string;
  let wire: WireSidecar;
  let database: DatabaseSync;

  beforeEach(async () => {
    folder = await makeFolder();
    const connectionString = join(folder, "state.db");
    wire = await start(folder, encrypted("state.sqlite", { primary: "old" }, { connectionString }), { old: OLD });
    database = new DatabaseSync(connectionString);
  });
  afterEach(async () => {
    database.close();
    await wire.stop();
    await rm(folder, { recursive: true });
  });

  const text = async (key: string): Promise<string> => (await ask(wire, "GET", `${STORE}/${key}`)).text;

  /** What stands in the store under a key: raw bytes are kept as base64 there (dapr-state-stores.md 7b). */
  function stored(key: string): string {
    const row = database.prepare("SELECT value, is_binary FROM state WHERE key = ?").get(key);
    assert.equal(row?.is_binary, 1);
    return Buffer.from(String(row?.value), "base64").toString();
  }

  function put(key: string, value: string): void {
    const row = Buffer.from(value).toString("base64");
    database.prepare("INSERT INTO state (key, value, is_binary, etag) VALUES (?, ?, 1, ?)").run(key, row, "e-1");
  }

  /** Everything that is in the store's files. */
  async function files(): Promise<Buffer> {
    const names = (await readdir(folder)).filter((name) => name.startsWith("state.db"));
    return Buffer.concat(await Promise.all(names.map((name) => readFile(join(folder, name)))));
  }

  it("keeps every value in Dapr's form, and gives it back: strings without their quotes, all else as it came", async () => {
    const values = [
      ['"value1"', "value1"],
      ['"250"', "250"],
      ["12345678901234567890", "12345678901234567890"],
      ['{ "b": 1, "a": ["x"] }', '{ "b": 1, "a": ["x"] }'],
      ["null", "null"],
    ];
    for (const [index, [value = "", back]] of values.entries()) {
      await save(wire, `v${index}`, value);
      const answer = await ask(wire, "GET", `${STORE}/v${index}`);
      assert.deepEqual([answer.status, answer.text], [200, back]);
      assert.equal(answer.headers["content-type"], "application/json");
      assert.match(stored(`v${index}`), ENCRYPTED);
    }
  });

  it("has no plain text in its files, and no key either", async () => {
    await save(wire, "k", JSON.stringify(MARKER));
    await ask(wire, "POST", `${STORE}/transaction`, { operations: [upsert("t", { deep: MARKER })] });
    assert.deepEqual([await text("k"), await text("t")], [MARKER, JSON.stringify({ deep: MARKER })]);
    const bytes = await files();
    assert.ok(bytes.includes("state"), "the files were read");
    // Base64 of a text looks different at each of three offsets; the row's own base64 is around all of it.
    const rows = database.prepare("SELECT value FROM state").all();
    const decoded = rows.map(({ value }) => Buffer.from(String(value), "base64").toString("latin1"));
    const inner = decoded.map((value) => Buffer.from(value.split("||")[0] ?? "", "base64").toString("latin1"));
    for (const place of [bytes.toString("latin1"), ...decoded, ...inner]) {
      assert.ok(!place.includes(MARKER));
      assert.ok(!place.includes(OLD) && !place.includes(Buffer.from(OLD, "hex").toString("latin1")));
    }
  });

  it("reads what Dapr has written, as Go has printed it", async () => {
    put("from-dapr", FROM_DAPR);
    assert.equal(await text("from-dapr"), "map[a:1 b:2]");
    const bulk = await ask(wire, "POST", `${STORE}/bulk`, { keys: ["from-dapr"] });
    assert.equal(bulk.text, '[{"key":"from-dapr","data":"map[a:1 b:2]","etag":"e-1"}]\n');
  });

  it("writes and reads in a transaction and in bulk, each item by itself", async () => {
    const operations = [upsert("one", "1"), upsert("two", { n: 2 }), { operation: "delete", request: { key: "gone" } }];
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, { operations })).status, 204);
    for (const key of ["one", "two"]) assert.match(stored(key), ENCRYPTED);
    put("plain", '{"card":"4111"}');
    put("foreign", FROM_DAPR.replace("||old", "||other"));
    const { text: answer } = await ask(wire, "POST", `${STORE}/bulk`, {
      keys: ["one", "two", "plain", "foreign", "none"],
    });
    const items: { key: string; data?: unknown; error?: string }[] = JSON.parse(answer);
    assert.deepEqual(
      items.map(({ data }) => data),
      [1, { n: 2 }, undefined, undefined, undefined],
    );
    assert.match(items[2]?.error ?? "", /could not decrypt data for state store statestore: .*not encrypted/);
    assert.match(items[3]?.error ?? "", /none of the Component's keys \(secret "old"\)/);
    assert.equal(items[4]?.error, undefined);
    assert.doesNotMatch(answer, /4111/);
  });

  it("answers 500 for a value that is not encrypted or was changed, and goes on", async () => {
    put("plain", '{"card":"4111"}');
    const changed = Buffer.from(FROM_DAPR.split("||")[0] ?? "", "base64");
    changed[15] = (changed[15] ?? 0) ^ 1;
    put("changed", `${changed.toString("base64")}||old`);
    for (const [key, reason] of [
      ["plain", /is not encrypted; .* write it again/],
      ["changed", /message authentication failed/],
    ] as const) {
      const answer = await ask(wire, "GET", `${STORE}/${key}`);
      assert.equal(answer.status, 500);
      const { errorCode, message } = errorOf(answer);
      assert.equal(errorCode, "ERR_STATE_GET");
      assert.match(message, reason);
      assert.doesNotMatch(message, /4111|a:1/);
      await save(wire, key, '"again"');
      assert.equal(await text(key), "again");
    }
  });

  it("has keys, ETags and expiry as they are", async () => {
    const item = { key: "e", value: "v", metadata: { ttlInSeconds: "100" } };
    assert.equal((await ask(wire, "POST", STORE, [item])).status, 204);
    const { headers } = await ask(wire, "GET", `${STORE}/e`);
    assert.ok(headers["metadata.ttlexpiretime"]);
    const etag = String(headers.etag);
    assert.equal((await ask(wire, "POST", STORE, [{ ...item, etag: "wrong" }])).status, 409);
    assert.equal((await ask(wire, "POST", STORE, [{ ...item, etag }])).status, 204);
    assert.equal((await ask(wire, "DELETE", `${STORE}/e`)).status, 204);
    assert.equal((await ask(wire, "GET", `${STORE}/e`)).status, 204);
  });

  it("shows its key nowhere", async () => {
    const shown = [
      ...wire.log,
      (await ask(wire, "GET", "/v1.0/metadata")).text,
      (await ask(wire, "GET", "/pannier/v1/health")).text,
      (await ask(wire, "GET", "/pannier/v1/state/statestore")).text,
    ].join("\n");
    assert.match(shown, /encrypted with the key of secret \\"old\\"/);
    assert.ok(!shown.includes(OLD));
  });
});

function upsert(key: string, value: unknown): object {
  return { operation: "upsert", request: { key, value } };
}

describe("values from before a store had a key", () => {
  let folder: string;
  let wire: WireSidecar;

  beforeEach(async () => {
    folder = await makeFolder();
  });
  afterEach(async () => {
    await wire.stop();
    await rm(folder, { recursive: true });
  });

  it("are carried over through a second Component without the key", async () => {
    const connectionString = join(folder, "state.db");
    const plain = component("plain", "state.sqlite", { connectionString, keyPrefix: "none" });
    const keyed = encrypted("state.sqlite", { primary: "old" }, { connectionString });
    wire = await start(folder, `${plain}---\n${keyed}`, { old: OLD });
    await save(wire, "k", '{"a":1}', "/v1.0/state/plain");
    assert.match((await ask(wire, "GET", `${STORE}/k`)).text, /is not encrypted/);
    await save(wire, "k", (await ask(wire, "GET", "/v1.0/state/plain/k")).text);
    assert.equal((await ask(wire, "GET", `${STORE}/k`)).text, '{"a":1}');
    assert.match((await ask(wire, "GET", "/v1.0/state/plain/k")).text, ENCRYPTED);
  });
});

describe("the keys of an encrypted store", () => {
  let folder: string;
  let wire: WireSidecar;

  beforeEach(async () => {
    folder = await makeFolder();
  });
  afterEach(async () => {
    await wire.stop();
    await rm(folder, { recursive: true });
  });

  const text = async (key: string): Promise<string> => (await ask(wire, "GET", `${STORE}/${key}`)).text;
  const status = async (key: string): Promise<number> => (await ask(wire, "GET", `${STORE}/${key}`)).status;
  const store = (keys: Keys): Promise<void> =>
    writeFile(join(wire.folder, "store.yaml"), encrypted("state.in-memory", keys));
  const secrets = (content: object): Promise<void> => writeFile(join(folder, "secrets.json"), JSON.stringify(content));

  it("are rotated while the store serves, and in memory nothing is lost", async () => {
    wire = await start(folder, encrypted("state.in-memory", { primary: "old" }), { old: OLD, next: NEXT });
    const opened = wire.sidecar.stores.find("statestore")?.store;
    await save(wire, "first", '"one"');

    await store({ primary: "old", secondary: "next" });
    await until("the new key reads", () => wire.log.filter((line) => line.includes("Component updated")).length === 1);
    await store({ primary: "next", secondary: "old" });
    await until("the new key writes", () => wire.log.filter((line) => line.includes("Component updated")).length === 2);
    assert.equal(await text("first"), "one");
    await save(wire, "second", '"two"');

    await store({ primary: "next" });
    await until("the old key is gone", async () => (await status("first")) === 500);
    assert.equal(await text("second"), "two");
    assert.match((await ask(wire, "GET", `${STORE}/first`)).text, /none of the Component's keys \(secret \\"next\\"\)/);

    await store({ primary: "next", secondary: "old" });
    await until("the old key is back", async () => (await status("first")) === 200);
    assert.equal(wire.sidecar.stores.find("statestore")?.store, opened, "it was never opened again");
    assert.ok(!wire.log.join().includes(OLD) && !wire.log.join().includes(NEXT));
  });

  it("stay when they are taken out of the manifest: nothing is written as plain text, nothing read as ciphertext", async () => {
    wire = await start(folder, encrypted("state.in-memory", { primary: "old" }), { old: OLD });
    await save(wire, "first", '"one"');
    const good = encrypted("state.in-memory", { primary: "old" });
    for (const bad of [
      component("statestore", "state.in-memory", { keyPrefix: "none" }),
      good.replace("primaryEncryptionKey", "encryptionKey"),
    ]) {
      await writeFile(join(wire.folder, "store.yaml"), bad);
      await wire.sidecar.reload();
      assert.equal((await ask(wire, "GET", "/pannier/v1/health")).status, 503);
      await save(wire, "second", '"two"');
      assert.deepEqual([await text("first"), await text("second")], ["one", "two"]);
      assert.notEqual(wire.sidecar.stores.find("statestore")?.core.cipher, null);
      await writeFile(join(wire.folder, "store.yaml"), good);
      await wire.sidecar.reload();
      assert.equal((await ask(wire, "GET", "/pannier/v1/health")).status, 200);
    }
  });

  it("may be given up at a start, which leaves what was encrypted as it stands", async () => {
    const connectionString = join(folder, "state.db");
    wire = await start(folder, encrypted("state.sqlite", { primary: "old" }, { connectionString }), { old: OLD });
    await save(wire, "first", '"one"');
    await wire.stop();
    wire = await start(folder, component("statestore", "state.sqlite", { keyPrefix: "none", connectionString }), {});
    await save(wire, "second", '"two"');
    assert.equal(await text("second"), '"two"');
    assert.match(await text("first"), ENCRYPTED);
  });

  it("may leave the values that were written again as docs/encryption.md says", async () => {
    wire = await start(folder, encrypted("state.in-memory", { primary: "old" }), { old: OLD, next: NEXT });
    const values = ['"text"', '"250"', "250", '{"a": "b\\u0041"}', '"\\"quoted\\""', '""', "null"];
    for (const [index, value] of values.entries()) await save(wire, `v${index}`, value);
    const all = (): Promise<string[]> => Promise.all(values.map((_, index) => text(`v${index}`)));
    const before = await all();

    await store({ primary: "next", secondary: "old" });
    await until("the new key writes", () => wire.log.some((line) => line.includes("Component updated")));
    for (const index of values.keys()) {
      const read = await ask(wire, "GET", `${STORE}/v${index}`);
      const again = [{ key: `v${index}`, value: read.text, etag: read.headers.etag }];
      assert.equal((await ask(wire, "POST", STORE, again)).status, 204);
    }
    await store({ primary: "next" });
    await until(
      "the old key is gone",
      () => wire.log.filter((line) => line.includes("Component updated")).length === 2,
    );
    assert.deepEqual(await all(), before);
  });

  it("are read again with the file of secrets", async () => {
    wire = await start(folder, encrypted("state.in-memory", { primary: "old" }), { old: OLD });
    await save(wire, "k", '"v"');
    await secrets({ old: NEXT });
    await until("another key is in use", async () => (await status("k")) === 500);
    assert.match((await ask(wire, "GET", `${STORE}/k`)).text, /message authentication failed .*another key than when/);
    await secrets({ old: OLD });
    await until("the key is back", async () => (await status("k")) === 200);
  });

  it("keep a JSON string with its quotes where the Component says so", async () => {
    const manifest = encrypted("state.in-memory", { primary: "old" }, { encryptedStrings: "json" });
    wire = await start(folder, manifest, { old: OLD });
    for (const value of ['"250"', "250", '"\\ud800"']) {
      await save(wire, "k", value);
      assert.equal(await text("k"), value);
    }
  });
});

describeWithRedis("an encrypted Redis store", () => {
  let folder: string;
  let redis: RedisServer;
  let raw: Redis;
  let wire: WireSidecar;

  before(async () => {
    folder = await makeFolder();
    redis = await startRedis();
    raw = new Redis({ host: redis.host, port: redis.port, lazyConnect: true });
    const redisHost = `${redis.host}:${redis.port}`;
    wire = await start(folder, encrypted("state.redis", { primary: "old" }, { redisHost }), { old: OLD });
  });
  after(async () => {
    raw.disconnect();
    await wire.stop();
    await redis.stop();
    await rm(folder, { recursive: true });
  });

  it("has in the field `data` what Dapr has there, both ways", async () => {
    await save(wire, "ours", JSON.stringify(MARKER));
    assert.match((await raw.hget("ours", "data")) ?? "", ENCRYPTED);
    await raw.hset("theirs", { data: FROM_DAPR, version: "1" });
    assert.equal((await ask(wire, "GET", `${STORE}/theirs`)).text, "map[a:1 b:2]");
    assert.equal((await ask(wire, "GET", `${STORE}/ours`)).text, MARKER);
  });
});
