// What the gRPC API answers instead of a result: codes, texts and details (dapr-state-api.md 2 and 3.3).
import assert from "node:assert/strict";
import { GrpcClient } from "./grpc-client.ts";
import {
  BULK_DELETE,
  BULK_GET,
  DELETE,
  deleteOf,
  GET,
  getOf,
  item,
  QUERY,
  SAVE,
  STORE_NAME,
  saveOf,
  TRANSACT,
  transactionOf,
} from "./grpc-methods.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";

const NO_METADATA = { domain: "dapr.io", metadata: {} };
const RESOURCE = {
  "@type": "ResourceInfo",
  resourceType: "state",
  resourceName: STORE_NAME,
  owner: "",
  description: "",
};

describe("errors over gRPC", () => {
  let wire: WireSidecar;
  let client: GrpcClient;

  before(async () => {
    wire = await startWire({ manifests: { "a.yaml": component(STORE_NAME, "state.in-memory") } });
    client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
  });
  after(async () => {
    client.close();
    await wire.stop();
  });

  /** Every state method, on a store of this name and with this key. */
  function calls(to: GrpcClient, storeName: string, key: string) {
    const bulk = { storeName, keys: ["ok", key], parallelism: 0, metadata: {} };
    return [
      () => to.fail(GET, getOf(key, storeName)),
      () => to.fail(SAVE, saveOf([item(key)], storeName)),
      () => to.fail(DELETE, deleteOf(key, { storeName })),
      () => to.fail(BULK_GET, bulk),
      () => to.fail(BULK_DELETE, { storeName, states: [item(key)] }),
      () => to.fail(TRANSACT, { ...transactionOf([["delete", item(key)]]), storeName }),
    ];
  }

  it("name an unknown store, on every method and without an app id", async () => {
    const query = () => client.fail(QUERY, { storeName: "nope", query: "{}", metadata: {} });
    for (const call of [...calls(client, "nope", "k"), query]) {
      assert.deepEqual(await call(), {
        code: "InvalidArgument",
        message: "state store nope is not found",
        details: [{ "@type": "ErrorInfo", reason: "DAPR_STATE_NOT_FOUND", ...NO_METADATA }],
      });
    }
  });

  it("say that no store is configured at all", async () => {
    const empty = await startWire({ manifests: {} });
    const own = new GrpcClient(`127.0.0.1:${empty.sidecar.grpcPort}`);
    try {
      for (const call of calls(own, "any", "k")) {
        assert.deepEqual(await call(), {
          code: "FailedPrecondition",
          message: "state store any is not configured",
          details: [{ "@type": "ErrorInfo", reason: "DAPR_STATE_NOT_CONFIGURED", ...NO_METADATA }],
        });
      }
    } finally {
      own.close();
      await empty.stop();
    }
  });

  it("refuse a key with the separator in Dapr's words, not wrapped as over HTTP", async () => {
    const text = "input key/keyPrefix 'a||b' can't contain '||'";
    for (const call of calls(client, STORE_NAME, "a||b")) {
      assert.deepEqual(await call(), {
        code: "InvalidArgument",
        message: text,
        details: [
          { "@type": "BadRequest", fieldViolations: [{ field: "a||b", description: text }] },
          RESOURCE,
          { "@type": "ErrorInfo", reason: "DAPR_STATE_ILLEGAL_KEY", ...NO_METADATA },
        ],
      });
    }
  });

  it("are cut where a client could not take them, and stay well-formed", async () => {
    for (const key of [`||${"k".repeat(100_000)}`, `||${"🧺".repeat(30_000)}`, `||${"%".repeat(30_000)}`]) {
      const { code, message, details } = await client.fail(GET, getOf(key));
      assert.equal(code, "InvalidArgument");
      assert.ok(message.endsWith("…") && message.startsWith("input key/keyPrefix '||"));
      assert.ok(encodeURI(message).length < 2000);
      assert.equal(details.length, 3);
    }
  });

  it("say that a query cannot be read, with Dapr's code for it", async () => {
    const { code, message, details } = await client.fail(QUERY, { storeName: STORE_NAME, query: "{", metadata: {} });
    assert.equal(code, "Internal");
    assert.match(message, /^state store statestore query failed: failed to parse JSON query body: /);
    assert.deepEqual(details, [RESOURCE, { "@type": "ErrorInfo", reason: "DAPR_STATE_QUERY_FAILED", ...NO_METADATA }]);
  });

  it("name the codes of a broken message and of a fault in a value", async () => {
    const broken = { ...GET, request: { ...GET.request, encode: () => ({ finish: () => Buffer.from([0x0a, 0x7f]) }) } };
    const { code, message } = await client.fail(broken as unknown as typeof GET, getOf("k"));
    assert.deepEqual([code, message.startsWith("grpc: error unmarshalling request: ")], ["Internal", true]);
  });
});

describe("a store that is down, over gRPC", () => {
  it("is Internal for one key, and Unknown for a bulk get, which Dapr does not wrap", async () => {
    const wire = await startWire({ manifests: { "a.yaml": component(STORE_NAME, "state.in-memory") } });
    const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
    try {
      for (const entry of wire.sidecar.stores.all()) await entry.store.close();
      const failures = [
        [
          () => client.fail(GET, getOf("k")),
          "Internal",
          "fail to get k from state store statestore: ",
          "ERR_STATE_GET",
        ],
        [
          () => client.fail(SAVE, saveOf([item("k")])),
          "Internal",
          "failed saving state in state store statestore: ",
          "ERR_STATE_SAVE",
        ],
        [
          () => client.fail(DELETE, deleteOf("k")),
          "Internal",
          "failed deleting state with key k: ",
          "ERR_STATE_DELETE",
        ],
        [
          () => client.fail(TRANSACT, transactionOf([["delete", item("k")]])),
          "Internal",
          "error while executing state transaction: ",
          "ERR_STATE_TRANSACTION",
        ],
      ] as const;
      for (const [call, code, start, reason] of failures) {
        const failure = await call();
        assert.equal(failure.code, code);
        assert.equal(failure.message, `${start}the store was closed`);
        assert.deepEqual(failure.details, [{ "@type": "ErrorInfo", reason, ...NO_METADATA }]);
      }
      const bulk = { storeName: STORE_NAME, keys: ["k"], parallelism: 0, metadata: {} };
      assert.deepEqual(await client.fail(BULK_GET, bulk), {
        code: "Unknown",
        message: "the store was closed",
        details: [],
      });
    } finally {
      client.close();
      await wire.stop();
    }
  });
});
