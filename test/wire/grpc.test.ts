// The state methods over real gRPC (dapr-state-api.md 3), on the in-memory store and where needed on SQLite.
import assert from "node:assert/strict";
import type { StateOptions } from "#proto/gen/dapr/proto/common/v1/common.ts";
import { STORE } from "./client.ts";
import { GrpcClient } from "./grpc-client.ts";
import {
  BULK_DELETE,
  BULK_GET,
  DELETE,
  deleteOf,
  GET,
  getOf,
  type ItemParts,
  item,
  SAVE,
  STORE_NAME,
  saveOf,
  TRANSACT,
  transactionOf,
} from "./grpc-methods.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";

const FIRST_WRITE: StateOptions = { concurrency: 1, consistency: 0 };
const LAST_WRITE: StateOptions = { concurrency: 2, consistency: 0 };
const STRONG: StateOptions = { concurrency: 0, consistency: 2 };
const JSON_TYPE = { contentType: "application/json" };

describe("the state API over gRPC", () => {
  let wire: WireSidecar;
  let client: GrpcClient;

  before(async () => {
    wire = await startWire({
      manifests: {
        "a.yaml": component(STORE_NAME, "state.in-memory"),
        "b.yaml": component("my store", "state.in-memory", { keyPrefix: "none" }),
      },
    });
    client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
  });
  after(async () => {
    client.close();
    await wire.stop();
  });

  const save = (key: string, parts: ItemParts) => client.get(SAVE, saveOf([item(key, parts)]));
  const failSave = (key: string, parts: ItemParts) => client.fail(SAVE, saveOf([item(key, parts)]));
  const get = (key: string) => client.get(GET, getOf(key));
  const text = async (key: string) => Buffer.from((await get(key)).data).toString();

  describe("save and get", () => {
    it("keep the bytes as they are, whatever they are", async () => {
      const values = [
        Buffer.from("hello"),
        Buffer.from([0x00, 0xff, 0xfe, 0x80]),
        Buffer.from('{ "b" : 1, "a":[ ] }'),
        Buffer.from("12345678901234567890"),
        Buffer.alloc(100_000, 7),
      ];
      for (const value of values) {
        await save("exact", { value });
        const answer = await get("exact");
        assert.ok(value.equals(answer.data));
        assert.notEqual(answer.etag, "");
        assert.deepEqual(answer.metadata, {});
      }
    });

    it("answer nothing for a key that is not there", async () => {
      const { data, etag, metadata } = await get("missing");
      assert.deepEqual([data.length, etag, metadata], [0, "", {}]);
    });

    it("take a value without a byte, which then has an ETag", async () => {
      await save("empty", { value: "" });
      const { data, etag } = await get("empty");
      assert.deepEqual([data.length, etag !== ""], [0, true]);
    });

    it("take nothing to save", async () => {
      await client.get(SAVE, saveOf([]));
    });

    it("let the later of two items with one key win", async () => {
      await client.get(SAVE, saveOf([item("twice", { value: "first" }), item("twice", { value: "second" })]));
      assert.equal(await text("twice"), "second");
    });

    it("reach a store whose name has a blank, by any consistency", async () => {
      await client.get(SAVE, saveOf([item("k", { value: "v", options: STRONG })], "my store"));
      for (const consistency of [0, 1, 2] as const) {
        const { data } = await client.get(GET, { ...getOf("k", "my store"), consistency });
        assert.equal(Buffer.from(data).toString(), "v");
      }
    });

    it("count an enum number that nobody knows as unset, as Dapr does", async () => {
      const options = { concurrency: 7, consistency: 7 } as unknown as StateOptions;
      await save("odd", { value: "1", options });
      await save("odd", { value: "2", options });
      assert.equal(await text("odd"), "2");
    });

    it("share values with HTTP: raw bytes come out there as they are, JSON from there with its quotes", async () => {
      await save("shared", { value: "hello" });
      const answer = await wire.ask("GET", `${STORE}/shared`);
      assert.deepEqual(
        [answer.status, answer.text, answer.headers["content-type"]],
        [200, "hello", "application/json"],
      );
      await wire.ask("POST", STORE, { body: '[{"key":"shared","value":"hi"}]' });
      assert.equal(await text("shared"), '"hi"');
    });

    it("refuse an empty key", async () => {
      const { code, message, details } = await failSave("", { value: "1" });
      assert.deepEqual([code, message], ["InvalidArgument", "state key cannot be empty"]);
      assert.deepEqual(details, [{ "@type": "ErrorInfo", reason: "ERR_STATE_SAVE", domain: "dapr.io", metadata: {} }]);
    });

    it("keep a leading byte order mark in a key, and refuse a key that is not UTF-8", async () => {
      await save("\ufeffbom", { value: "1" });
      assert.equal((await get("bom")).data.length, 0);
      const bytes = { encode: () => assert.fail(), decode: () => ({}) } as never;
      const raw = { path: GET.path, request: bytes, response: GET.response };
      const broken = Buffer.from([0x0a, 1, 0x61, 0x12, 2, 0xc3, 0x28]);
      Object.assign(raw.request, { encode: () => ({ finish: () => broken }) });
      const { code, message } = await client.fail(raw, {});
      assert.deepEqual([code, message.includes("UTF-8")], ["Internal", true]);
    });
  });

  describe("a value that says application/json", () => {
    it("is kept byte for byte", async () => {
      const value = '{ "b" : 12345678901234567890, "a":[ ] }';
      await save("json", { value, metadata: JSON_TYPE });
      assert.equal(await text("json"), value);
    });

    it("is refused when it is not JSON, and nothing is written", async () => {
      for (const value of ["hello", '{"a":', "", "1 2", Buffer.from([0x22, 0xff, 0x22])]) {
        const { code, message } = await failSave("badjson", { value, metadata: JSON_TYPE });
        assert.equal(code, "InvalidArgument");
        assert.match(message, /^failed saving state in state store statestore: key "badjson": metadata contentType/);
      }
      assert.equal((await get("badjson")).etag, "");
    });

    it("may be anything under another content type", async () => {
      await save("typed", { value: "hello", metadata: { contentType: "application/JSON" } });
      assert.equal(await text("typed"), "hello");
    });
  });

  describe("conditions", () => {
    it("hold for the ETag of a save: Aborted when it is stale", async () => {
      await save("cond", { value: "1" });
      const { etag } = await get("cond");
      await save("cond", { value: "2", etag });
      const { code, message, details } = await failSave("cond", { value: "3", etag });
      assert.equal(code, "Aborted");
      assert.match(
        message,
        /^failed saving state in state store statestore: possible etag mismatch\. error from state store: /,
      );
      assert.deepEqual(details, [{ "@type": "ErrorInfo", reason: "ERR_STATE_SAVE", domain: "dapr.io", metadata: {} }]);
      assert.equal(await text("cond"), "2");
    });

    it("count an empty ETag as none", async () => {
      await save("noetag", { value: "1" });
      await save("noetag", { value: "2", etag: "" });
      assert.equal(await text("noetag"), "2");
    });

    it("make first-write create once", async () => {
      await save("first", { value: "1", options: FIRST_WRITE });
      assert.equal((await failSave("first", { value: "2", options: FIRST_WRITE })).code, "Aborted");
      await save("first", { value: "3", options: LAST_WRITE });
      assert.equal(await text("first"), "3");
    });

    it("hold for a delete", async () => {
      await save("del", { value: "1" });
      const { code, details } = await client.fail(DELETE, deleteOf("del", { etag: { value: "stale" } }));
      assert.equal(code, "Aborted");
      assert.deepEqual(details, [
        { "@type": "ErrorInfo", reason: "ERR_STATE_DELETE", domain: "dapr.io", metadata: {} },
      ]);
      const { etag } = await get("del");
      await client.get(DELETE, deleteOf("del", { etag: { value: etag }, options: FIRST_WRITE }));
      assert.equal((await get("del")).etag, "");
    });
  });

  describe("delete", () => {
    it("takes a key away, and one that is not there", async () => {
      await save("gone", { value: "1" });
      for (let i = 0; i < 2; i++) await client.get(DELETE, deleteOf("gone"));
      assert.equal((await get("gone")).etag, "");
    });
  });

  describe("TTL", () => {
    it("is told by get as ttlExpireTime", async () => {
      await save("ttl", { value: "1", metadata: { ttlInSeconds: "100" } });
      const { metadata } = await get("ttl");
      assert.deepEqual(Object.keys(metadata), ["ttlExpireTime"]);
      assert.match(metadata.ttlExpireTime ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.ok(Math.abs(Date.parse(metadata.ttlExpireTime ?? "") - Date.now() - 100_000) < 10_000);
    });

    it("is refused when it is none", async () => {
      for (const ttlInSeconds of ["-2", "foo", "1.5"]) {
        const { code, message } = await failSave("badttl", { value: "1", metadata: { ttlInSeconds } });
        assert.equal(code, "InvalidArgument");
        assert.match(message, /metadata ttlInSeconds: got/);
      }
      assert.equal((await get("badttl")).etag, "");
    });
  });

  describe("bulk get", () => {
    it("gives one item per key in the order asked, bytes of any kind", async () => {
      await save("b1", { value: Buffer.from([0xff]), metadata: { ttlInSeconds: "100" } });
      await save("b2", { value: "{}" });
      const keys = ["b2", "missing", "b1", "b2"];
      const { items } = await client.get(BULK_GET, { storeName: STORE_NAME, keys, parallelism: 10, metadata: {} });
      assert.deepEqual(
        items.map(({ key, data, etag, error, metadata }) => [
          key,
          Buffer.from(data).toString("hex"),
          etag !== "",
          error,
          Object.keys(metadata),
        ]),
        [
          ["b2", "7b7d", true, "", []],
          ["missing", "", false, "", []],
          ["b1", "ff", true, "", ["ttlExpireTime"]],
          ["b2", "7b7d", true, "", []],
        ],
      );
    });

    it("of no key is empty", async () => {
      const { items } = await client.get(BULK_GET, { storeName: STORE_NAME, keys: [], parallelism: 0, metadata: {} });
      assert.deepEqual(items, []);
    });
  });

  describe("bulk save", () => {
    it("of which one item conflicts keeps the others, and names the one", async () => {
      await save("bs1", { value: "old" });
      const states = [item("bs1", { value: "new", etag: "stale" }), item("bs2", { value: "new" })];
      const { code, message } = await client.fail(SAVE, saveOf(states));
      assert.equal(code, "Aborted");
      assert.match(message, /1 of 2 items failed: key "bs1": possible etag mismatch/);
      assert.deepEqual([await text("bs1"), await text("bs2")], ["old", "new"]);
    });

    it("with an illegal key writes nothing", async () => {
      assert.equal(
        (await client.fail(SAVE, saveOf([item("bs3", { value: "1" }), item("a||b")]))).code,
        "InvalidArgument",
      );
      assert.equal((await get("bs3")).etag, "");
    });
  });

  describe("bulk delete", () => {
    const bulkDelete = (states: ReturnType<typeof item>[]) => ({ storeName: STORE_NAME, states });

    it("takes keys away, and nothing for none", async () => {
      await client.get(SAVE, saveOf([item("d1", { value: "1" }), item("d2", { value: "2" })]));
      await client.get(BULK_DELETE, bulkDelete([item("d1"), item("d2"), item("never")]));
      assert.deepEqual([(await get("d1")).etag, (await get("d2")).etag], ["", ""]);
      await client.get(BULK_DELETE, bulkDelete([]));
    });

    it("of which one item conflicts deletes the others, and names the one", async () => {
      await client.get(SAVE, saveOf([item("d3", { value: "1" }), item("d4", { value: "2" })]));
      const { code, message, details } = await client.fail(
        BULK_DELETE,
        bulkDelete([item("d3", { etag: "stale" }), item("d4")]),
      );
      assert.equal(code, "Aborted");
      assert.match(
        message,
        /^failed deleting state in state store statestore: 1 of 2 items failed: key "d3": possible etag mismatch/,
      );
      assert.deepEqual(details, [
        { "@type": "ErrorInfo", reason: "ERR_STATE_BULK_DELETE", domain: "dapr.io", metadata: {} },
      ]);
      assert.deepEqual([(await get("d3")).etag !== "", (await get("d4")).etag], [true, ""]);
    });

    it("with an illegal key deletes nothing", async () => {
      await save("d5", { value: "1" });
      const { code } = await client.fail(BULK_DELETE, bulkDelete([item("d5"), item("a||b")]));
      assert.equal(code, "InvalidArgument");
      assert.notEqual((await get("d5")).etag, "");
    });
  });

  describe("a transaction", () => {
    it("applies all in order", async () => {
      await save("t1", { value: "old" });
      const operations = [
        ["delete", item("t1")],
        ["upsert", item("t2", { value: "a" })],
        ["upsert", item("t2", { value: Buffer.from([0x68, 0x69, 0x7b]) })],
      ] as const;
      await client.get(TRANSACT, transactionOf(operations));
      assert.deepEqual([(await get("t1")).etag, await text("t2")], ["", "hi{"]);
    });

    it("applies none when an ETag is stale, and is Aborted", async () => {
      const { code, message, details } = await client.fail(
        TRANSACT,
        transactionOf([
          ["upsert", item("t3", { value: "1" })],
          ["upsert", item("t4", { value: "1", etag: "stale" })],
        ]),
      );
      assert.equal(code, "Aborted");
      assert.match(message, /^error while executing state transaction: possible etag mismatch/);
      const info = { "@type": "ErrorInfo", reason: "ERR_STATE_TRANSACTION", domain: "dapr.io", metadata: {} };
      assert.deepEqual(details, [info]);
      assert.equal((await get("t3")).etag, "");
    });

    it("of no operation succeeds", async () => {
      await client.get(TRANSACT, transactionOf([]));
    });

    it("gives its metadata to the operations, whose own goes first", async () => {
      const operations = [
        ["upsert", item("t5", { value: "1" })],
        ["upsert", item("t6", { value: "1", metadata: { ttlInSeconds: "-1" } })],
      ] as const;
      await client.get(TRANSACT, transactionOf(operations, { ttlInSeconds: "100" }));
      assert.ok("ttlExpireTime" in (await get("t5")).metadata);
      assert.deepEqual((await get("t6")).metadata, {});
    });

    it("with an operation of another name is Unimplemented", async () => {
      const { code, message, details } = await client.fail(TRANSACT, transactionOf([["Upsert", item("t7")]]));
      assert.deepEqual([code, message], ["Unimplemented", "operation type Upsert not supported"]);
      const info = {
        "@type": "ErrorInfo",
        reason: "ERR_NOT_SUPPORTED_STATE_OPERATION",
        domain: "dapr.io",
        metadata: {},
      };
      assert.deepEqual(details, [info]);
    });

    it("with an operation without a request is refused for its key", async () => {
      const { code, message } = await client.fail(TRANSACT, transactionOf([["upsert", undefined]]));
      assert.deepEqual([code, message], ["InvalidArgument", 'operation 1 of 1 (upsert): "key" is a required field']);
    });
  });

  describe("an encrypted store", () => {
    it("keeps the bytes that came, quotes included, and lists of bytes are no text of numbers", async () => {
      const encrypted = [
        component("secretstore", "secretstores.local.env"),
        component("sealed", "state.in-memory", {}).replace(
          "  metadata: []\n",
          "  metadata:\n    - name: primaryEncryptionKey\n      secretKeyRef:\n        name: SEAL_KEY\n        key: SEAL_KEY\nauth:\n  secretStore: secretstore\n",
        ),
      ].join("---\n");
      const other = await startWire({
        manifests: { "a.yaml": encrypted },
        env: { SEAL_KEY: "00112233445566778899aabbccddeeff" },
      });
      const own = new GrpcClient(`127.0.0.1:${other.sidecar.grpcPort}`);
      try {
        await own.get(SAVE, saveOf([item("q", { value: '"250"', metadata: JSON_TYPE })], "sealed"));
        assert.equal(Buffer.from((await own.get(GET, getOf("q", "sealed"))).data).toString(), '"250"');
        const transaction = transactionOf([["upsert", item("t", { value: "hi{" })]]);
        await own.get(TRANSACT, { ...transaction, storeName: "sealed" });
        assert.equal(Buffer.from((await own.get(GET, getOf("t", "sealed"))).data).toString(), "hi{");
        const [entry] = [...other.sidecar.stores.all()];
        const found = await entry?.store.get(
          "wire||t",
          { strong: false, metadata: {} },
          { signal: new AbortController().signal },
        );
        assert.match(Buffer.from(found?.bytes ?? []).toString(), /^[A-Za-z0-9+/=]+\|\|SEAL_KEY$/);
      } finally {
        own.close();
        await other.stop();
      }
    });
  });
});
