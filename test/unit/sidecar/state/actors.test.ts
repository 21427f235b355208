import assert from "node:assert/strict";
import { never, systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { noMetrics } from "#sidecar/metrics.ts";
import { type ActorChange, ActorStates } from "#sidecar/state/actors.ts";
import { noPolicies } from "#sidecar/state/policies.ts";
import { StateService } from "#sidecar/state/service.ts";
import { StoreEntry, type StoreTable } from "#sidecar/state/table.ts";
import { type Change, type Features, type Limits, type Store, StoreError } from "#sidecar/stores/store.ts";
import { PLAIN_CORE } from "#test/unit/sidecar/core.ts";

const call = { signal: new AbortController().signal };
const LEROY = { actorType: "cat", actorId: "leroy" };

/** A store that keeps what it was asked to change; it stands for no server, only for the driver contract. */
function scripted(features: Partial<Features>, limits: Partial<Limits>, transact: Store["transact"]): Store {
  return {
    features: { etag: true, transactions: true, ttl: true, list: false, ...features },
    limits: { valueBytesMax: null, keyBytesMax: null, operationsMax: null, ttlSecMin: 1, ...limits },
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
    ...(transact === undefined ? {} : { transact }),
    ping: async () => undefined,
    close: async () => undefined,
  };
}

function actorsOver(store: Store): ActorStates {
  const cipher = {
    seal: () => Buffer.from("sealed"),
    open: () => Buffer.from("opened"),
  };
  const core = { ...PLAIN_CORE, actorStateStore: true, cipher };
  const naming = { name: "s", type: "state.test", version: "v1", keyPrefix: "elsewhere||" };
  const entry = new StoreEntry({ ...naming, core, store, openedAtMs: 0 });
  const stores: StoreTable = { size: 1, find: () => entry, all: () => [entry] };
  const service = new StateService({
    stores,
    clock: systemClock,
    metrics: noMetrics,
    policies: noPolicies,
    ending: never,
  });
  const log = createLog({
    level: "fatal",
    json: true,
    appId: "",
    instance: "",
    version: "",
    write: () => undefined,
    nowMs: () => 0,
  });
  return new ActorStates({ service, stores, appId: "app", log });
}

function request(parts: Partial<ActorChange> = {}): ActorChange {
  return { key: "k", bytes: Buffer.from("1"), isJson: true, etag: "", metadata: {}, ...parts };
}

describe("actor states", () => {
  it("go to the driver unsealed, with their partition in place of the caller's", async () => {
    const seen: Change[] = [];
    const actors = actorsOver(scripted({}, {}, async (changes) => void seen.push(...changes)));
    const metadata = { partitionKey: "mine", ttlInSeconds: "7" };
    await actors.transact(LEROY, [{ operation: "upsert", request: request({ metadata, etag: "e" }) }], call);
    const [change] = seen;
    assert.ok(change?.kind === "upsert");
    assert.equal(Buffer.from(change.write.bytes).toString(), "1");
    const { key, etag, ttlSec, metadata: sent } = change.write;
    assert.deepEqual([key, etag, ttlSec], ["app||cat||leroy||k", "e", 7]);
    assert.equal(sent.partitionKey, "app||cat||leroy");
  });

  it("are not opened when they are read", async () => {
    const found = { bytes: Buffer.from("plain"), etag: null, expiresAtMs: null };
    const actors = actorsOver({ ...scripted({}, {}, async () => undefined), get: async () => found });
    assert.equal((await actors.get(LEROY, "k", call))?.bytes.toString(), "plain");
  });

  it("need ETags and transactions", async () => {
    for (const [lacks, features] of [
      ["transactions", { transactions: false }],
      ["ETags", { etag: false }],
    ] as const) {
      const actors = actorsOver(scripted(features, {}, undefined));
      const told = { message: new RegExp(`incorrectly configured.*State store s \\(state\\.test\\) has no ${lacks}`) };
      await assert.rejects(actors.get(LEROY, "k", call), { code: "actor-get-failed", fault: "failed", ...told });
      await assert.rejects(actors.transact(LEROY, [], call), { code: "actor-transaction-failed", ...told });
    }
  });

  it("keep to the store's limits on operations, values and keys", async () => {
    const limits = { operationsMax: 2, valueBytesMax: 3, keyBytesMax: 24 };
    const actors = actorsOver(scripted({}, limits, async () => undefined));
    const refused = (requests: readonly ActorChange[]) =>
      actors.transact(
        LEROY,
        requests.map((each) => ({ operation: "upsert", request: each })),
        call,
      );
    const code = "actor-transaction-failed";
    await assert.rejects(refused([request(), request(), request()]), {
      code,
      fault: "invalid",
      message: /more operations/,
    });
    await assert.rejects(refused([request({ bytes: Buffer.from("1234") })]), {
      code,
      message: /the value has 4 bytes/,
    });
    await assert.rejects(refused([request({ key: "a long name" })]), { code, message: /the 24 bytes/ });
    await assert.rejects(actors.get(LEROY, "a long name", call), { code: "actor-get-failed", fault: "invalid" });
  });

  it("tell a conflict from a failure, and that an outcome is unknown", async () => {
    for (const [thrown, fault] of [
      ["etag-mismatch", "conflict"],
      ["unavailable", "failed"],
    ] as const) {
      const actors = actorsOver(
        scripted({}, {}, async () => {
          throw new StoreError(thrown, "so it is");
        }),
      );
      const operations = [{ operation: "delete", request: request({ etag: "x" }) }];
      await assert.rejects(actors.transact(LEROY, operations, call), {
        fault,
        message: /^error saving actor.*so it is/,
      });
    }
  });
});
