// The rows of docs/differences.md that show on every store, over HTTP.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ask, errorOf, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describe("differences", () => {
  let wire: WireSidecar;

  before(async () => {
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.in-memory") } });
  });
  after(() => wire.stop());

  const text = async (key: string): Promise<string> => (await ask(wire, "GET", `${STORE}/${key}`)).text;
  const expiry = async (key: string): Promise<unknown> =>
    (await ask(wire, "GET", `${STORE}/${key}`)).headers["metadata.ttlexpiretime"];

  it("V1: values come back byte for byte", async () => {
    const value = '{ "b": 12345678901234567890, "a":1.10, "a": [ ] , "c":"<\\u0041>"}';
    await save(wire, "v1", value);
    assert.equal(await text("v1"), value);
  });

  it("V2: a bulk get with a value that is not JSON gives it as a string, and the others as they are", async () => {
    const [entry] = [...wire.sidecar.stores.all()];
    assert.ok(entry !== undefined);
    const call = { signal: new AbortController().signal };
    const plain = { isJson: false, etag: null, firstWrite: false, strong: false, ttlSec: null, metadata: {} };
    await entry.store.set({ ...plain, key: "wire||v2text", bytes: Buffer.from('say "hi"') }, call);
    await entry.store.set({ ...plain, key: "wire||v2bytes", bytes: Buffer.from([0xff, 0x00]) }, call);
    await save(wire, "v2json", '{"a": 1}');
    const answer = await ask(wire, "POST", `${STORE}/bulk`, { keys: ["v2text", "v2bytes", "v2json"] });
    const items: { data: unknown; metadata?: object }[] = JSON.parse(answer.text);
    assert.deepEqual(
      items.map(({ data, metadata }) => [data, metadata]),
      [
        ['say "hi"', undefined],
        ["/wA=", { "pannier.encoding": "base64" }],
        [{ a: 1 }, undefined],
      ],
    );
    assert.ok(answer.text.includes('{"a": 1}'));
  });

  it("V3: a body that is not UTF-8 is refused", async () => {
    const body = Buffer.concat([Buffer.from('[{"key":"v3","value":"'), Buffer.from([0xc3]), Buffer.from('"}]')]);
    assert.equal((await wire.ask("POST", STORE, { body })).status, 400);
    assert.equal(await text("v3"), "");
  });

  it("V4: a bulk get gives the stored bytes, neither compacted nor escaped", async () => {
    await save(wire, "v4", '{ "a" : "<&>" }');
    const answer = await ask(wire, "POST", `${STORE}/bulk`, { keys: ["v4"] });
    assert.ok(answer.text.includes('"data":{ "a" : "<&>" },'), answer.text);
  });

  it("C2: a conflict in a transaction is 409", async () => {
    const operations = [{ operation: "upsert", request: { key: "c2", value: 1, etag: "stale" } }];
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, { operations })).status, 409);
  });

  it("C9: of two items with one key the later wins", async () => {
    for (let i = 0; i < 20; i++) {
      await ask(wire, "POST", STORE, [
        { key: "c9", value: "first" },
        { key: "c9", value: i },
      ]);
      assert.equal(await text("c9"), String(i));
    }
  });

  it("C10: an operation without a key is refused and nothing is written", async () => {
    const operations = [{ operation: "upsert", request: { key: "c10", value: 1 } }, { operation: "upsert" }];
    const answer = await ask(wire, "POST", `${STORE}/transaction`, { operations });
    assert.deepEqual(
      [answer.status, errorOf(answer).message],
      [400, 'operation 2 of 2 (upsert): "key" is a required field'],
    );
    assert.equal(await text("c10"), "");
  });

  it("C12: an expired value counts as absent at once", async () => {
    await ask(wire, "POST", STORE, [{ key: "c12", value: 1, metadata: { ttlInSeconds: "1" } }]);
    while ((await text("c12")) !== "") await new Promise((resolve) => setTimeout(resolve, 5));
    const body = [{ key: "c12", value: 2, options: { concurrency: "first-write" } }];
    assert.equal((await ask(wire, "POST", STORE, body)).status, 204);
  });

  it("T1: 0 and -1 mean no expiry, also over an old one", async () => {
    for (const ttlInSeconds of ["0", "-1"]) {
      await ask(wire, "POST", STORE, [{ key: "t1", value: 1, metadata: { ttlInSeconds: "100" } }]);
      assert.notEqual(await expiry("t1"), undefined);
      assert.equal((await ask(wire, "POST", STORE, [{ key: "t1", value: 2, metadata: { ttlInSeconds } }])).status, 204);
      assert.equal(await expiry("t1"), undefined);
    }
  });

  it("T2: a TTL that is none is 400 and nothing is written", async () => {
    assert.equal(
      (await ask(wire, "POST", STORE, [{ key: "t2", value: 1, metadata: { ttlInSeconds: "-5" } }])).status,
      400,
    );
    assert.equal(await text("t2"), "");
  });

  it("T7: a transaction's metadata reaches its operations", async () => {
    const operations = [{ operation: "upsert", request: { key: "t7", value: 1 } }];
    await ask(wire, "POST", `${STORE}/transaction`, { operations, metadata: { ttlInSeconds: "100" } });
    assert.notEqual(await expiry("t7"), undefined);
  });

  it("R2: option words in headers count where the body says nothing", async () => {
    await save(wire, "r2", "1");
    assert.equal(
      (await ask(wire, "POST", STORE, [{ key: "r2", value: 2 }], { concurrency: "first-write" })).status,
      409,
    );
    assert.equal(
      (await ask(wire, "POST", STORE, [{ key: "r2", value: 2 }], { concurrency: "unheard-of" })).status,
      204,
    );
  });

  it("R3: a save of one item takes its ETag from If-Match", async () => {
    await save(wire, "r3", "1");
    assert.equal((await ask(wire, "POST", STORE, [{ key: "r3", value: 2 }], { "if-match": "stale" })).status, 409);
    const two = [
      { key: "r3", value: 2 },
      { key: "r3b", value: 2 },
    ];
    assert.equal((await ask(wire, "POST", STORE, two, { "if-match": "stale" })).status, 400);
  });

  it("R4: If-Match may stand in quotes", async () => {
    await save(wire, "r4", "1");
    const { etag } = (await ask(wire, "GET", `${STORE}/r4`)).headers;
    assert.equal((await ask(wire, "DELETE", `${STORE}/r4`, undefined, { "if-match": `"${etag}"` })).status, 204);
  });

  it("R5: an unknown option word is 400 on every route that takes one", async () => {
    const options = { consistency: "odd" };
    const operations = [{ operation: "upsert", request: { key: "r5", value: 1, options } }];
    const answers = [
      await ask(wire, "POST", STORE, [{ key: "r5", value: 1, options }]),
      await ask(wire, "GET", `${STORE}/r5?consistency=odd`),
      await ask(wire, "DELETE", `${STORE}/r5?concurrency=odd`),
      await ask(wire, "POST", `${STORE}/transaction`, { operations }),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [400, 400, 400, 400],
    );
  });

  it("R6: a raw character above ASCII in a path is refused with a sentence", async () => {
    const answer = await wire.raw(Buffer.from(`GET ${STORE}/ü HTTP/1.1\r\nHost: x\r\n\r\n`));
    assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*must be percent-encoded/);
  });

  it("R7: an escaped path that is not UTF-8 is refused", async () => {
    assert.equal((await ask(wire, "GET", `${STORE}/%ff`)).status, 400);
  });

  it("R8: a body that is one string holding the array is decoded once", async () => {
    assert.equal((await ask(wire, "POST", STORE, JSON.stringify('[{"key":"r8","value":1}]'))).status, 204);
    assert.equal(await text("r8"), "1");
  });

  it("R9: an outbox projection is refused", async () => {
    const operations = [
      { operation: "upsert", request: { key: "r9", value: 1, metadata: { "outbox.projection": "true" } } },
    ];
    const answer = await ask(wire, "POST", `${STORE}/transaction`, { operations });
    assert.deepEqual([answer.status, await text("r9")], [400, ""]);
  });
});

/** Rows that other suites prove, with the place; each place is checked to name its row. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  PL1: "test/wire/pluggable.test.ts",
  PL2: "test/wire/pluggable.test.ts",
  PL3: "test/wire/pluggable.test.ts",
  PL4: "test/wire/pluggable.test.ts",
  PL5: "test/wire/pluggable.test.ts",
  C11: "test/unit/sidecar/state/service.test.ts",
  R10: "test/wire/conditions.test.ts",
  R11: "test/wire/surface.test.ts",
  T6: "test/unit/sidecar/state/service.test.ts",
  R1: "test/unit/sidecar/state/service.test.ts",
};

describe("docs/differences.md", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const read = (path: string): string => readFileSync(root + path, "utf8");
  const rows = [...read("docs/differences.md").matchAll(/^\| ([A-Z]+\d+) \|/gm)].map((match) => match[1] ?? "");

  it("has no number twice", () => {
    assert.ok(rows.length > 30);
    assert.deepEqual(rows, [...new Set(rows)]);
  });

  it("has a test for every row, and every such test has a row", () => {
    const files = readdirSync(`${root}test/differences`).map((name) => `test/differences/${name}`);
    const tested = files.flatMap((path) =>
      [...read(path).matchAll(/\bit\("([A-Z]+\d+): /g)].map((match) => match[1] ?? ""),
    );
    const elsewhere = Object.entries(ELSEWHERE)
      .filter(([row, path]) => read(path).includes(`(${row})`))
      .map(([row]) => row);
    assert.deepEqual([...tested, ...elsewhere].sort(), [...rows].sort());
  });
});
