// Conditions, deletes, bulk reads and transactions over real HTTP (dapr-state-api.md 1.7 to 1.11), on the in-memory store.
import assert from "node:assert/strict";
import { errorOf, STORE, save, ask as send } from "./client.ts";
import { type Answer, component, startWire, type WireSidecar } from "./sidecar.ts";

describe("the state API over HTTP, with conditions and in bulk", () => {
  let wire: WireSidecar;

  before(async () => {
    const manifests = {
      "a.yaml": component("statestore", "state.in-memory"),
    };
    wire = await startWire({ manifests });
  });
  after(() => wire.stop());

  const ask = (method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> =>
    send(wire, method, path, body, headers);
  const saved = (key: string, value: string): Promise<void> => save(wire, key, value);

  describe("ETags over HTTP", () => {
    async function etagOf(key: string): Promise<string> {
      return String((await ask("GET", `${STORE}/${key}`)).headers.etag);
    }

    it("answer 409 to a stale one on save and delete, and leave the value", async () => {
      await saved("e1", "1");
      const stale = await etagOf("e1");
      await saved("e1", "2");
      const save = await ask("POST", STORE, [{ key: "e1", value: 3, etag: stale }]);
      assert.equal(save.status, 409);
      assert.equal(errorOf(save).errorCode, "ERR_STATE_SAVE");
      assert.match(
        errorOf(save).message,
        /^failed saving state in state store statestore: possible etag mismatch. error from state store: /,
      );
      const remove = await ask("DELETE", `${STORE}/e1`, undefined, { "if-match": stale });
      assert.equal(remove.status, 409);
      assert.match(errorOf(remove).message, /^failed deleting state with key e1: possible etag mismatch/);
      assert.equal((await ask("GET", `${STORE}/e1`)).text, "2");
    });

    it("let the right one pass, quoted or not, in body or header", async () => {
      await saved("e2", "1");
      assert.equal((await ask("POST", STORE, [{ key: "e2", value: 2, etag: await etagOf("e2") }])).status, 204);
      assert.equal(
        (await ask("POST", STORE, [{ key: "e2", value: 3 }], { "if-match": `"${await etagOf("e2")}"` })).status,
        204,
      );
      assert.equal((await ask("POST", STORE, [{ key: "e2", value: 4 }], { "if-match": "wrong" })).status, 409);
      assert.equal(
        (await ask("DELETE", `${STORE}/e2`, undefined, { "if-match": `"${await etagOf("e2")}"` })).status,
        204,
      );
    });

    it("in the body come before If-Match, and empty ones count as none", async () => {
      await saved("e3", "1");
      assert.equal(
        (await ask("POST", STORE, [{ key: "e3", value: 2, etag: await etagOf("e3") }], { "if-match": "wrong" })).status,
        204,
      );
      assert.equal((await ask("POST", STORE, [{ key: "e3", value: 3, etag: "" }])).status, 204);
      assert.equal((await ask("DELETE", `${STORE}/e3`, undefined, { "if-match": "" })).status, 204);
    });

    it("in If-Match with several items are refused", async () => {
      const body = [
        { key: "e4", value: 1 },
        { key: "e5", value: 1 },
      ];
      const answer = await ask("POST", STORE, body, { "if-match": "x" });
      assert.deepEqual([answer.status, errorOf(answer).errorCode], [400, "ERR_MALFORMED_REQUEST"]);
      assert.equal((await ask("GET", `${STORE}/e4`)).status, 204);
    });

    it("answer 409 when the key is not there, on save and delete", async () => {
      assert.equal((await ask("POST", STORE, [{ key: "gone", value: 1, etag: "x" }])).status, 409);
      assert.equal((await ask("DELETE", `${STORE}/gone`, undefined, { "if-match": "x" })).status, 409);
    });

    it("answer a bulk save with one wrong one with 409, keep the others and name the key", async () => {
      const body = [
        { key: "e6", value: 1 },
        { key: "e7", value: 1, etag: "wrong" },
      ];
      const answer = await ask("POST", STORE, body);
      assert.equal(answer.status, 409);
      assert.match(errorOf(answer).message, /1 of 2 items failed: key "e7": possible etag mismatch/);
      assert.equal((await ask("GET", `${STORE}/e6`)).text, "1");
    });

    it("give way to first-write: the second of two is 409", async () => {
      const body = [{ key: "fw", value: 1, options: { concurrency: "first-write" } }];
      assert.equal((await ask("POST", STORE, body)).status, 204);
      assert.equal((await ask("POST", STORE, body)).status, 409);
    });
  });

  describe("delete over HTTP", () => {
    it("succeeds for a key that is not there", async () => {
      assert.equal((await ask("DELETE", `${STORE}/never`)).status, 204);
    });

    it("without a key, as get without one, has no route", async () => {
      for (const method of ["GET", "DELETE"]) {
        const answer = await ask(method, `${STORE}/`);
        assert.equal(answer.status, 404);
        assert.deepEqual(errorOf(answer), {
          errorCode: "ERR_DIRECT_INVOKE",
          message: "failed getting app id either from the URL path or the header dapr-app-id",
        });
      }
    });

    it("takes the old retry parameters and refuses a pattern that is none", async () => {
      assert.equal(
        (await ask("DELETE", `${STORE}/r?retryInterval=1&retryPattern=linear&retryThreshold=3`)).status,
        204,
      );
      assert.equal((await ask("DELETE", `${STORE}/r?retryThreshold=3&retryPattern=odd`)).status, 400);
      assert.equal((await ask("DELETE", `${STORE}/r?retryInterval=x&retryThreshold=y`)).status, 204);
    });
  });

  describe("bulk get over HTTP", () => {
    it("gives an item per key in the order asked, with a line end", async () => {
      await saved("b1", '{"z": 1}');
      const answer = await ask("POST", `${STORE}/bulk`, { keys: ["b1", "none", "b1"], parallelism: 2 });
      assert.equal(answer.status, 200);
      assert.ok(answer.text.endsWith("]\n"));
      assert.ok(answer.text.includes('"data":{"z": 1}'), "the exact bytes");
      const items: { key: string; data?: unknown; etag?: string }[] = JSON.parse(answer.text);
      assert.deepEqual(
        items.map(({ key, data }) => [key, data]),
        [
          ["b1", { z: 1 }],
          ["none", undefined],
          ["b1", { z: 1 }],
        ],
      );
      assert.deepEqual(Object.keys(items[1] ?? {}), ["key"]);
      assert.equal(typeof items[0]?.etag, "string");
    });

    it("carries the expiry in an item's metadata", async () => {
      await ask("POST", STORE, [{ key: "b2", value: 1, metadata: { ttlInSeconds: "50" } }]);
      const answer = await ask("PUT", `${STORE}/bulk`, { keys: ["b2"] });
      assert.match(answer.text, /"metadata":\{"ttlExpireTime":"[^"]+Z"\}/);
    });

    it("reads a key that is asked for many times once, and sends its bytes as often as asked", async () => {
      await saved("b3", JSON.stringify("x".repeat(1_000_000)));
      const answer = await ask("POST", `${STORE}/bulk`, { keys: new Array(100).fill("b3") });
      const items: { data: string }[] = JSON.parse(answer.text);
      assert.deepEqual([items.length, new Set(items.map(({ data }) => data.length))], [100, new Set([1_000_000])]);
    });

    it("refuses more keys and more bytes than there are limits for, and names them (R10)", async () => {
      const keys = Array.from({ length: 100_001 }, (_, index) => `k${index}`);
      const many = await ask("POST", `${STORE}/bulk`, { keys });
      assert.deepEqual([many.status, errorOf(many).message], [400, "a bulk get of 100001 keys, want at most 100000"]);
      const names = Array.from({ length: 23 }, (_, index) => `large${index}`);
      for (const name of names) await saved(name, JSON.stringify("x".repeat(3_000_000)));
      const large = await ask("POST", `${STORE}/bulk`, { keys: names });
      assert.equal(large.status, 400);
      assert.match(errorOf(large).message, /more than 67108864 bytes together/);
      assert.equal((await ask("POST", `${STORE}/bulk`, { keys: names.slice(0, 20) })).status, 200);
    });

    it("answers [] for no keys", async () => {
      for (const body of ["{}", '{"keys":[]}', '{"keys":null}'])
        assert.equal((await ask("POST", `${STORE}/bulk`, body)).text, "[]\n");
    });

    it("answers 400 with Dapr's words to a body that is none", async () => {
      for (const body of ["", "[", "[]"]) {
        const answer = await ask("POST", `${STORE}/bulk`, body);
        assert.equal(answer.status, 400);
        assert.match(errorOf(answer).message, /^failed deserializing HTTP body: /);
      }
    });
  });

  describe("transaction over HTTP", () => {
    const upsert = (key: string, value: unknown, more: object = {}): object => ({
      operation: "upsert",
      request: { key, value, ...more },
    });

    it("applies upserts and deletes in order, by POST and PUT", async () => {
      await saved("t1", "1");
      const operations = [
        { operation: "delete", request: { key: "t1" } },
        upsert("t2", 2),
        { operation: "delete", request: { key: "t2" } },
        upsert("t3", { a: 1 }),
      ];
      for (const method of ["POST", "PUT"]) {
        const answer = await ask(method, `${STORE}/transaction`, { operations });
        assert.deepEqual([answer.status, answer.text], [204, ""]);
      }
      assert.deepEqual(
        [(await ask("GET", `${STORE}/t1`)).status, (await ask("GET", `${STORE}/t2`)).status],
        [204, 204],
      );
      assert.equal((await ask("GET", `${STORE}/t3`)).text, '{"a":1}');
    });

    it("answers 409 to a wrong ETag and changes nothing", async () => {
      const answer = await ask("POST", `${STORE}/transaction`, {
        operations: [upsert("t4", 1), upsert("t5", 1, { etag: "wrong" })],
      });
      assert.deepEqual([answer.status, errorOf(answer).errorCode], [409, "ERR_STATE_TRANSACTION"]);
      assert.match(
        errorOf(answer).message,
        /^error while executing state transaction: possible etag mismatch\. error from state store: change 2 of 2: /,
      );
      assert.equal((await ask("GET", `${STORE}/t4`)).status, 204);
    });

    it("gives the transaction's metadata to its operations, whose own comes first", async () => {
      const body = {
        operations: [upsert("t6", 1), upsert("t7", 1, { metadata: { ttlInSeconds: "-1" } })],
        metadata: { ttlInSeconds: "100" },
      };
      assert.equal((await ask("POST", `${STORE}/transaction`, body)).status, 204);
      assert.notEqual((await ask("GET", `${STORE}/t6`)).headers["metadata.ttlexpiretime"], undefined);
      assert.equal((await ask("GET", `${STORE}/t7`)).headers["metadata.ttlexpiretime"], undefined);
    });

    it("takes no operations as nothing to do", async () => {
      for (const body of ['{"operations":[]}', "{}"])
        assert.equal((await ask("POST", `${STORE}/transaction`, body)).status, 204);
    });

    it("refuses an operation word that is none, in any case but Dapr's", async () => {
      const answer = await ask("POST", `${STORE}/transaction`, {
        operations: [{ operation: "Upsert", request: { key: "t8", value: 1 } }],
      });
      assert.equal(answer.status, 400);
      assert.deepEqual(errorOf(answer), {
        errorCode: "ERR_NOT_SUPPORTED_STATE_OPERATION",
        message: "operation type Upsert not supported",
      });
    });

    it("refuses a broken body, a missing key, a numeric etag and an outbox projection", async () => {
      const bodies = [
        "",
        "[",
        '{"operations":[{"operation":"upsert","request":{"value":1}}]}',
        '{"operations":[{"operation":"upsert","request":{"key":"k","etag":1}}]}',
      ];
      for (const body of bodies) {
        const answer = await ask("POST", `${STORE}/transaction`, body);
        assert.deepEqual([answer.status, errorOf(answer).errorCode], [400, "ERR_MALFORMED_REQUEST"], body);
      }
      const projection = { operations: [upsert("t9", 1, { metadata: { "outbox.projection": "true" } })] };
      assert.equal((await ask("POST", `${STORE}/transaction`, projection)).status, 400);
      assert.equal((await ask("GET", `${STORE}/t9`)).status, 204);
    });
  });
});
