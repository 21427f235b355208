// The methods around the state: metadata, shutdown, actor state, queries, Pannier's own service, and what a
// Configuration takes away.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { StateItem } from "#proto/gen/dapr/proto/common/v1/common.ts";
import {
  BulkDeleteRequest,
  BulkSaveRequest,
  BulkWriteResponse,
  CountKeysRequest,
  CountKeysResponse,
  DeleteByPrefixRequest,
  DeleteByPrefixResponse,
  DescribeStoreRequest,
  DescribeStoreResponse,
  ListKeysRequest,
  ListKeysResponse,
} from "#proto/gen/pannier/v1/state.ts";
import type { MessageType } from "#proto/wire.ts";
import { GrpcClient, type Method } from "./grpc-client.ts";
import {
  GET,
  GET_ACTOR,
  GET_METADATA,
  getOf,
  item,
  QUERY,
  SAVE,
  SET_METADATA,
  SHUTDOWN,
  STORE_NAME,
  saveOf,
  TRANSACT_ACTOR,
} from "./grpc-methods.ts";
import { component, startWire, type WireOptions, type WireSidecar } from "./sidecar.ts";
import { until } from "./until.ts";

const manifests = { "a.yaml": component(STORE_NAME, "state.in-memory", { actorStateStore: "true" }) };

async function over(
  options: Partial<WireOptions>,
  test: (client: GrpcClient, wire: WireSidecar) => Promise<void>,
): Promise<void> {
  const wire = await startWire({ manifests, ...options });
  const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
  try {
    await test(client, wire);
  } finally {
    client.close();
    await wire.stop();
  }
}

function own<Q, A>(name: string, request: MessageType<Q>, response: MessageType<A>): Method<Q, A> {
  return { path: `/pannier.v1.State/${name}`, request, response };
}

describe("metadata over gRPC", () => {
  it("tells what HTTP tells", () =>
    over({ settings: { appPort: 8080, appMaxConcurrency: 5 } }, async (client, wire) => {
      const answer = await client.get(GET_METADATA, {});
      const http = JSON.parse((await wire.ask("GET", "/v1.0/metadata")).text);
      assert.deepEqual(
        [answer.id, answer.runtimeVersion, answer.enabledFeatures, answer.extendedMetadata],
        [http.id, http.runtimeVersion, http.enabledFeatures, http.extended],
      );
      assert.deepEqual(answer.registeredComponents, http.components);
      const { health, ...app } = answer.appConnectionProperties ?? { health: undefined };
      assert.deepEqual(app, http.appConnectionProperties);
      assert.equal(health, undefined);
      const { placement, hostReady, runtimeStatus } = answer.actorRuntime ?? {};
      assert.deepEqual([placement, hostReady, runtimeStatus], ["placement: disconnected", false, 1]);
    }));

  it("keeps attributes, shared with HTTP, and refuses one that is too large", () =>
    over({}, async (client, wire) => {
      await client.get(SET_METADATA, { key: "cliPID", value: "42" });
      await client.get(SET_METADATA, { key: "", value: "nothing" });
      await wire.ask("PUT", "/v1.0/metadata/other", { body: "1" });
      const { extendedMetadata } = await client.get(GET_METADATA, {});
      const { daprRuntimeVersion, ...set } = extendedMetadata;
      assert.deepEqual(set, { cliPID: "42", other: "1" });
      assert.ok(daprRuntimeVersion);
      const { code, message } = await client.fail(SET_METADATA, { key: "big", value: "x".repeat(65_537) });
      assert.deepEqual([code, message], ["InvalidArgument", "a metadata attribute has at most 65536 bytes, got 65537"]);
    }));
});

describe("shutdown over gRPC", () => {
  it("answers, then asks the process to end, gracefully or not", () =>
    over({}, async (client, wire) => {
      await client.get(SHUTDOWN, {});
      assert.deepEqual(wire.shutdowns, []);
      await client.get(SHUTDOWN, {}, { metadata: { "dapr-force-shutdown": "True" } });
      await until("both were asked for", () => wire.shutdowns.length === 2);
      assert.deepEqual(wire.shutdowns, [false, true]);
    }));
});

describe("actor state over gRPC", () => {
  const actor = { actorType: "cart", actorId: "1" };
  const upsert = (key: string, value: string, metadata: Record<string, string> = {}) => {
    const any = { typeUrl: "ignored", value: Buffer.from(value) };
    return { operationType: "upsert", key, value: any, metadata };
  };

  it("is written and read byte for byte, with its expiry and without an ETag", () =>
    over({}, async (client, wire) => {
      await client.get(TRANSACT_ACTOR, {
        ...actor,
        operations: [upsert("k", "hi{", { ttlInSeconds: "100" }), upsert("l", "1")],
      });
      const { data, metadata } = await client.get(GET_ACTOR, { ...actor, key: "k" });
      assert.deepEqual([Buffer.from(data).toString(), Object.keys(metadata)], ["hi{", ["ttlExpireTime"]]);
      assert.equal((await wire.ask("GET", "/v1.0/actors/cart/1/state/l")).text, "1");
      await client.get(TRANSACT_ACTOR, {
        ...actor,
        operations: [{ operationType: "delete", key: "k", value: undefined, metadata: {} }],
      });
      assert.equal((await client.get(GET_ACTOR, { ...actor, key: "k" })).data.length, 0);
    }));

  it("is Unimplemented for another operation, and denied for Dapr's own actors", () =>
    over({}, async (client) => {
      const other = { operationType: "touch", key: "k", value: undefined, metadata: {} };
      assert.equal((await client.fail(TRANSACT_ACTOR, { ...actor, operations: [other] })).code, "Unimplemented");
      const { code, details } = await client.fail(GET_ACTOR, { actorType: "dapr.internal.x", actorId: "1", key: "k" });
      assert.equal(code, "PermissionDenied");
      assert.deepEqual(details, [
        { "@type": "ErrorInfo", reason: "ERR_ACTOR_TYPE_RESERVED", domain: "dapr.io", metadata: {} },
      ]);
    }));

  it("is Internal without a store for it", () =>
    over({ manifests: { "a.yaml": component(STORE_NAME, "state.in-memory") } }, async (client) => {
      const { code, message } = await client.fail(GET_ACTOR, { ...actor, key: "k" });
      assert.equal(code, "Internal");
      assert.match(message, /^the state store is not configured to use the actor runtime/);
    }));
});

describe("queries over gRPC", () => {
  it("give keys, bytes, ETags and a token, and nothing for nothing", () =>
    over({}, async (client) => {
      const states = ["a", "b", "c"].map((key, n) =>
        item(key, { value: `{"n": ${n}}`, metadata: { contentType: "application/json" } }),
      );
      await client.get(SAVE, saveOf(states));
      const ask = (query: object) =>
        client.get(QUERY, { storeName: STORE_NAME, query: JSON.stringify(query), metadata: {} });
      const first = await ask({ filter: { NEQ: { n: 1 } }, sort: [{ key: "n", order: "DESC" }], page: { limit: 1 } });
      assert.deepEqual(
        first.results.map(({ key, data, etag, error }) => [key, Buffer.from(data).toString(), etag !== "", error]),
        [["c", '{"n": 2}', true, ""]],
      );
      const page = { limit: 1, token: first.token };
      const second = await ask({ filter: { NEQ: { n: 1 } }, sort: [{ key: "n", order: "DESC" }], page });
      assert.deepEqual(
        second.results.map(({ key }) => key),
        ["a"],
      );
      assert.deepEqual(await ask({ filter: { EQ: { n: 9 } } }), { results: [], token: "", metadata: {} });
    }));
});

describe("pannier.v1.State", () => {
  const LIST = own("ListKeys", ListKeysRequest, ListKeysResponse);
  const COUNT = own("CountKeys", CountKeysRequest, CountKeysResponse);
  const DELETE_BY_PREFIX = own("DeleteByPrefix", DeleteByPrefixRequest, DeleteByPrefixResponse);
  const BULK_SAVE = own("BulkSave", BulkSaveRequest, BulkWriteResponse);
  const BULK_DELETE = own("BulkDelete", BulkDeleteRequest, BulkWriteResponse);
  const DESCRIBE = own("DescribeStore", DescribeStoreRequest, DescribeStoreResponse);
  const storeName = STORE_NAME;
  const list = { storeName, prefix: "o/", limit: 0, token: "", values: false };

  const seed = (client: GrpcClient, keys: readonly string[], value = "v") =>
    client.get(SAVE, saveOf(keys.map((key): StateItem => item(key, { value }))));

  it("lists keys in pages, with values when asked", () =>
    over({}, async (client) => {
      await seed(client, ["o/1", "o/2", "o/3", "p/1"]);
      const first = await client.get(LIST, { ...list, limit: 2 });
      assert.deepEqual(
        first.items.map(({ key, data }) => [key, data]),
        [
          ["o/1", undefined],
          ["o/2", undefined],
        ],
      );
      const second = await client.get(LIST, { ...list, limit: 2, token: first.token, values: true });
      assert.deepEqual(
        second.items.map(({ key, data, etag }) => [key, Buffer.from(data ?? []).toString(), etag !== ""]),
        [["o/3", "v", true]],
      );
      assert.equal(second.token, "");
    }));

  it("gives a shorter page when the values do not fit into an answer", () =>
    over({ settings: { bodyBytesMax: 10_000 } }, async (client) => {
      const keys = ["o/1", "o/2", "o/3", "o/4", "o/5"];
      for (const key of keys) await seed(client, [key], "x".repeat(4_000));
      const seen: string[] = [];
      let token = "";
      do {
        const page = await client.get(LIST, { ...list, token, values: true });
        seen.push(...page.items.map(({ key }) => key));
        token = page.token;
      } while (token !== "");
      assert.deepEqual(seen, keys);
    }));

  it("refuses an altered token and a limit that is none, and names the field", () =>
    over({}, async (client) => {
      for (const [wrong, field] of [
        [{ token: "x" }, "token"],
        [{ limit: -1 }, "limit"],
      ] as const) {
        const { code, message } = await client.fail(LIST, { ...list, ...wrong });
        assert.equal(code, "InvalidArgument");
        assert.ok(message.includes(`${field}: `), message);
      }
    }));

  it("counts and deletes by prefix", () =>
    over({}, async (client) => {
      await seed(client, ["o/1", "o/2", "o/3", "p/1"]);
      assert.equal((await client.get(COUNT, { storeName, prefix: "o/" })).count, 3);
      const first = await client.get(DELETE_BY_PREFIX, { storeName, prefix: "o/", all: false, limit: 2 });
      assert.deepEqual(first, { deleted: 2, more: true });
      const rest = await client.get(DELETE_BY_PREFIX, { storeName, prefix: "o/", all: false, limit: 0 });
      assert.deepEqual(rest, { deleted: 1, more: false });
      const { code } = await client.fail(DELETE_BY_PREFIX, { storeName, prefix: "", all: false, limit: 0 });
      assert.equal(code, "InvalidArgument");
      assert.equal((await client.get(COUNT, { storeName, prefix: "" })).count, 1);
    }));

  it("answers for each item of a bulk write", () =>
    over({}, async (client) => {
      await seed(client, ["k"]);
      const items = [item("k", { value: "2", etag: "stale" }), item("l", { value: "2" }), item("a||b", { value: "2" })];
      const { results } = await client.get(BULK_SAVE, { storeName, items });
      assert.deepEqual(
        results.map(({ key, error }) => [key, error?.code, error?.errorCode]),
        [
          ["k", 10, "ERR_STATE_SAVE"],
          ["l", undefined, undefined],
          ["a||b", 3, "ERR_MALFORMED_REQUEST"],
        ],
      );
      const deleted = await client.get(BULK_DELETE, { storeName, items: [item("k", { etag: "stale" }), item("l")] });
      assert.deepEqual(
        deleted.results.map(({ error }) => error?.errorCode),
        ["ERR_STATE_DELETE", undefined],
      );
      assert.equal((await client.get(GET, getOf("l"))).etag, "");
    }));

  it("describes a store", () =>
    over({}, async (client) => {
      const { name, type, features, limits, traits, defaultTtlSeconds } = await client.get(DESCRIBE, { storeName });
      assert.deepEqual([name, type, defaultTtlSeconds], [STORE_NAME, "state.in-memory", undefined]);
      assert.deepEqual(features, { etag: true, transactions: true, ttl: true, list: true });
      assert.deepEqual(
        [limits?.requestBytesMax, limits?.valueBytesMax, limits?.ttlSecondsMin],
        [4 * 1024 * 1024, undefined, 1],
      );
      assert.deepEqual([traits?.values, traits?.listOrder], ["exact-bytes", "key"]);
    }));
});

describe("a Configuration's lists", () => {
  it("take methods away by Dapr's words, but never health", () =>
    over({}, async (_client, wire) => {
      const path = join(wire.folder, "configuration.txt");
      const rules = "    allowed:\n      - name: state\n        version: v1\n        protocol: grpc\n";
      await writeFile(
        path,
        `apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  name: c\nspec:\n  api:\n${rules}`,
      );
      await over({ settings: { configPaths: [path] } }, async (client) => {
        await client.get(GET, getOf("k"));
        for (const [method, message] of [
          [GET_METADATA, {}],
          [QUERY, { storeName: STORE_NAME, query: "{}", metadata: {} }],
        ] as const) {
          const failure = await client.fail(method as Method<unknown, unknown>, message);
          const metadata = { "http.code": "501", "http.error_message": "requested endpoint is not available" };
          assert.deepEqual(failure, {
            code: "Unimplemented",
            message: "Not Implemented",
            details: [{ "@type": "ErrorInfo", reason: "Not Implemented", domain: "dapr.io", metadata }],
          });
        }
        const health = await client.fail({ ...GET, path: "/grpc.health.v1.Health/Check" }, getOf("k"));
        assert.equal(health.code, "NotFound");
      });
    }));
});
