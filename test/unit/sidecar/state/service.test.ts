import assert from "node:assert/strict";
import { never, systemClock } from "#kit/clock.ts";
import type { StateOperation } from "#sidecar/metrics.ts";
import { noMetrics } from "#sidecar/metrics.ts";
import { noPolicies } from "#sidecar/state/policies.ts";
import type { SaveRequest } from "#sidecar/state/requests.ts";
import { withRetries } from "#sidecar/state/retry.ts";
import { StateService } from "#sidecar/state/service.ts";
import { StoreEntry, type StoreTable } from "#sidecar/state/table.ts";
import { transact } from "#sidecar/state/transact.ts";
import { type Features, type Found, type Store, StoreError, type Write } from "#sidecar/stores/store.ts";
import { PLAIN_CORE } from "#test/unit/sidecar/core.ts";

const call = { signal: new AbortController().signal };
const all: Features = { etag: true, transactions: true, ttl: true, list: false };

/** A store that answers as a test says; it stands for no server, only for the driver contract. */
function scripted(parts: Partial<Store> = {}): Store {
  return {
    features: all,
    limits: { valueBytesMax: null, keyBytesMax: null, operationsMax: null, ttlSecMin: 1 },
    traits: {
      values: "exact-bytes",
      foreignEtag: "mismatch",
      etagMayBeQuoted: false,
      firstWriteDelete: "ignored",
      ttlStepMs: 1,
      durable: false,
      listOrder: "key",
      queryStrings: "typed",
      strongRead: "",
      strongWrite: "",
    },
    capabilities: [],
    defaultTtlSec: null,
    get: async () => null,
    set: async () => undefined,
    remove: async () => undefined,
    ping: async () => undefined,
    close: async () => undefined,
    ...parts,
  };
}

function serviceOver(store: Store, counted: string[] = []): StateService {
  const entry = new StoreEntry({
    name: "s",
    type: "state.test",
    version: "v1",
    keyPrefix: "app||",
    core: PLAIN_CORE,
    store,
    openedAtMs: 0,
  });
  const table: StoreTable = { size: 1, find: (name) => (name === "s" ? entry : undefined), all: () => [entry] };
  const state = (_name: string, operation: StateOperation, success: boolean): void => {
    counted.push(`${operation} ${success}`);
  };
  return new StateService({
    stores: table,
    clock: systemClock,
    metrics: { ...noMetrics, state },
    policies: noPolicies,
    ending: never,
  });
}

function item(parts: Partial<SaveRequest> = {}): SaveRequest {
  const options = { concurrency: "", consistency: "" };
  return { key: "k", bytes: Buffer.from("1"), isJson: true, etag: "", options, metadata: {}, retry: null, ...parts };
}

describe("state service", () => {
  it("tells a table without stores from an unknown name", async () => {
    const empty = new StateService({
      stores: { size: 0, find: () => undefined, all: () => [] },
      clock: systemClock,
      metrics: noMetrics,
      policies: noPolicies,
      ending: never,
    });
    assert.throws(() => empty.find("x"), { code: "store-not-configured", message: "state store x is not configured" });
    assert.throws(() => serviceOver(scripted()).find("x"), {
      code: "store-not-found",
      message: "state store x is not found",
    });
  });

  it("writes with the prefix, the options and the TTL decoded", async () => {
    const writes: Write[] = [];
    const service = serviceOver(scripted({ set: async (write) => void writes.push(write) }));
    const options = { concurrency: "first-write", consistency: "strong" };
    await service.save("s", [item({ options, metadata: { ttlInSeconds: "9" }, etag: "e" })], call);
    const [write] = writes;
    assert.deepEqual(
      [write?.key, write?.firstWrite, write?.strong, write?.ttlSec, write?.etag],
      ["app||k", true, true, 9, "e"],
    );
  });

  it("uses the store's default TTL only when the request says nothing", async () => {
    const ttls: (number | null)[] = [];
    const service = serviceOver(scripted({ defaultTtlSec: 60, set: async (write) => void ttls.push(write.ttlSec) }));
    for (const metadata of [
      {},
      { ttlInSeconds: "" },
      { ttlInSeconds: "0" },
      { ttlInSeconds: "-1" },
      { ttlInSeconds: "5" },
    ]) {
      await service.save("s", [item({ metadata })], call);
    }
    assert.deepEqual(ttls, [60, 60, null, null, 5]);
  });

  it("writes nothing when one of several items asks for what cannot be", async () => {
    let writes = 0;
    const service = serviceOver(scripted({ set: async () => void writes++ }));
    const items = [item(), item({ key: "b", metadata: { ttlInSeconds: "x" } })];
    await assert.rejects(service.save("s", items, call), {
      code: "save-failed",
      fault: "invalid",
      message: /^failed saving state in state store s: metadata ttlInSeconds: got "x"/,
    });
    assert.equal(writes, 0);
  });

  it("writes several values of one key in their order", async () => {
    const order: string[] = [];
    const set = async (write: Write): Promise<void> => {
      // The first takes longest: at once, it would come last.
      await new Promise((resolve) => setTimeout(resolve, 30 - 10 * Number(Buffer.from(write.bytes))));
      order.push(`${write.key} ${Buffer.from(write.bytes)}`);
    };
    const items = ["1", "2", "3"].map((value) => item({ bytes: Buffer.from(value) }));
    await serviceOver(scripted({ set })).save("s", items, call);
    assert.deepEqual(order, ["app||k 1", "app||k 2", "app||k 3"]);
  });

  const mixes: readonly (readonly [string, readonly (string | null)[], string])[] = [
    ["a conflict when all failures are conflicts", ["etag-mismatch", null, "etag-mismatch"], "conflict"],
    ["invalid when one ETag is invalid and the others conflict", ["etag-mismatch", "etag-invalid"], "invalid"],
    ["a failure when the store failed on one (C11)", ["etag-mismatch", "unavailable"], "failed"],
  ];
  for (const [sentence, codes, fault] of mixes) {
    it(`answers a bulk save with ${sentence}`, async () => {
      const counted: string[] = [];
      const set = async (write: Write): Promise<void> => {
        const code = codes[Number(write.key.slice(5))] ?? null;
        if (code !== null) throw new StoreError(code as "unavailable", "why");
      };
      const items = codes.map((_, index) => item({ key: String(index) }));
      const failed = codes.filter((code) => code !== null).length;
      await assert.rejects(serviceOver(scripted({ set }), counted).save("s", items, call), (error) => {
        assert.ok(error instanceof Error && "fault" in error);
        assert.equal(error.fault, fault);
        assert.match(error.message, new RegExp(`${failed} of ${codes.length} items failed: key "0": `));
        return true;
      });
      assert.deepEqual(counted, ["set false"]);
    });
  }

  it("retries a save as often as the request says, and no more (R1)", async () => {
    let attempts = 0;
    const set = async (): Promise<void> => {
      attempts++;
      throw new StoreError("unavailable", "down");
    };
    const retry = { intervalMs: 1, pattern: "linear", threshold: 4 } as const;
    await assert.rejects(serviceOver(scripted({ set })).save("s", [item({ retry })], call), { fault: "failed" });
    assert.equal(attempts, 4);
  });

  it("does not retry a conflict, nor a conditional write whose outcome is unknown", async () => {
    for (const [code, etag] of [
      ["etag-mismatch", "e"],
      ["unknown-outcome", "e"],
    ] as const) {
      let attempts = 0;
      const set = async (): Promise<void> => {
        attempts++;
        throw new StoreError(code, "why");
      };
      const retry = { intervalMs: 1, pattern: "linear", threshold: 4 } as const;
      await assert.rejects(serviceOver(scripted({ set })).save("s", [item({ retry, etag })], call));
      assert.equal(attempts, 1, code);
    }
  });

  it("tells which items of a bulk save may have been written all the same", async () => {
    const codes = ["unavailable", "timeout", "unknown-outcome"] as const;
    const set = async (write: Write): Promise<void> => {
      throw new StoreError(codes[Number(write.key.slice(5))] ?? "failed", "why");
    };
    const items = codes.map((_, index) => item({ key: String(index) }));
    await assert.rejects(serviceOver(scripted({ set })).save("s", items, call), {
      message:
        /: 3 of 3 items failed, 2 of them may have been written all the same: key "1": why; key "2": why; key "0": why$/,
    });
  });

  it("lets a fault of its own pass as what it is, from one item and from several", async () => {
    const set = async (): Promise<void> => {
      throw new TypeError("a bug");
    };
    for (const items of [[item()], [item(), item({ key: "b" })]]) {
      await assert.rejects(serviceOver(scripted({ set })).save("s", items, call), { name: "TypeError" });
    }
  });

  it("makes at most 20 attempts, and begins none after a minute", async () => {
    const run = async (intervalMs: number, threshold: number): Promise<number> => {
      let attempts = 0;
      let nowMs = 0;
      const clock = {
        nowMs: () => nowMs,
        monotonicMs: () => nowMs,
        after: (delayMs: number, task: () => void) => {
          nowMs += delayMs;
          queueMicrotask(task);
          return { cancel: () => undefined };
        },
      };
      const attempt = async (): Promise<void> => {
        attempts++;
        throw new StoreError("unavailable", "down");
      };
      const policy = { intervalMs, pattern: "linear", threshold } as const;
      await assert.rejects(withRetries({ policy, conditional: false, ending: never, clock, call }, attempt));
      return attempts;
    };
    assert.deepEqual([await run(1, 1000), await run(10_000, 15), await run(60_000, 15)], [20, 7, 2]);
  });

  it("ends a pause between two attempts when the sidecar ends, with the last error", async () => {
    const ending = new AbortController();
    const policy = { intervalMs: 3_600_000, pattern: "linear", threshold: 3 } as const;
    const attempt = async (): Promise<void> => {
      setImmediate(() => ending.abort());
      throw new StoreError("unavailable", "down");
    };
    const run = { policy, conditional: false, ending: ending.signal, clock: systemClock, call };
    await assert.rejects(withRetries(run, attempt), /down/);
  });

  it("ends the retries when the client leaves", async () => {
    const abort = new AbortController();
    let attempts = 0;
    const set = async (): Promise<void> => {
      attempts++;
      abort.abort();
      throw new StoreError("unavailable", "down");
    };
    const retry = { intervalMs: 50_000, pattern: "linear", threshold: 20 } as const;
    await assert.rejects(serviceOver(scripted({ set })).save("s", [item({ retry })], { signal: abort.signal }));
    assert.equal(attempts, 1);
  });

  it("refuses what the store has not: ETags, first-write, a positive TTL (T6); never strong or a TTL of 0", async () => {
    const service = serviceOver(scripted({ features: { etag: false, transactions: false, ttl: false, list: false } }));
    const words = { concurrency: "", consistency: "" };
    const refused = [
      item({ etag: "1" }),
      item({ options: { ...words, concurrency: "first-write" } }),
      item({ metadata: { ttlInSeconds: "1" } }),
    ];
    for (const request of refused) {
      await assert.rejects(service.save("s", [request], call), {
        fault: "invalid",
        message: /state store s \(state.test\) does not support/,
      });
    }
    await service.save(
      "s",
      [item({ options: { ...words, consistency: "strong" }, metadata: { ttlInSeconds: "0" } })],
      call,
    );
    await assert.rejects(transact(service, "s", [], call), { code: "transactions-not-supported" });
  });

  it("refuses a value and a key that are longer than the store takes, and a transaction with too many operations", async () => {
    const limits = { valueBytesMax: 2, keyBytesMax: 6, operationsMax: 1, ttlSecMin: 10 };
    const service = serviceOver(scripted({ limits, transact: async () => undefined }));
    await assert.rejects(service.save("s", [item({ bytes: Buffer.from("123") })], call), {
      message: /has 3 bytes.*at most 2/,
    });
    await assert.rejects(service.save("s", [item({ key: "long" })], call), { message: /more than the 6 bytes/ });
    await assert.rejects(service.save("s", [item({ metadata: { ttlInSeconds: "9" } })], call), {
      message: /no shorter time than 10 s/,
    });
    const operations = [item(), item()].map((request) => ({ operation: "upsert", request }) as const);
    await assert.rejects(transact(service, "s", operations, call), {
      code: "too-many-operations",
      message: "the transaction contains 2 operations, which is more than what the state store supports: 1",
    });
  });

  it("reads many keys one by one where the driver has no way of its own, each with its own error", async () => {
    const get = async (key: string): Promise<Found | null> => {
      if (key === "app||bad") throw new StoreError("corrupt", "not ours");
      return key === "app||none" ? null : { bytes: Buffer.from(key), etag: "1", expiresAtMs: null };
    };
    const items = await serviceOver(scripted({ get })).bulkGet(
      "s",
      { keys: ["a", "bad", "none", "a"], parallelism: 2, metadata: {}, bytesMax: 0 },
      call,
    );
    assert.deepEqual(
      items.map(({ key, found, error }) => [key, found?.bytes.toString(), error]),
      [
        ["a", "app||a", null],
        ["bad", undefined, "not ours"],
        ["none", undefined, null],
        ["a", "app||a", null],
      ],
    );
  });

  it("never has more reads under way than the request asks for", async () => {
    let under = 0;
    let most = 0;
    const get = async (): Promise<null> => {
      most = Math.max(most, ++under);
      await new Promise((resolve) => setImmediate(resolve));
      under--;
      return null;
    };
    await serviceOver(scripted({ get })).bulkGet(
      "s",
      { keys: Array.from("abcdefghij"), parallelism: 3, metadata: {}, bytesMax: 0 },
      call,
    );
    assert.equal(most, 3);
  });

  it("refuses an operation without a key and an outbox projection before anything is written", async () => {
    let calls = 0;
    const service = serviceOver(scripted({ transact: async () => void calls++ }));
    await assert.rejects(transact(service, "s", [{ operation: "upsert", request: item({ key: "" }) }], call), {
      code: "malformed",
    });
    const projection = item({ metadata: { "outbox.projection": "True" } });
    await assert.rejects(transact(service, "s", [{ operation: "upsert", request: projection }], call), {
      fault: "invalid",
      message: /no outbox/,
    });
    assert.equal(calls, 0);
  });
});
