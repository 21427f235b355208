import assert from "node:assert/strict";
import type { KubeRequest } from "#operator/kube/client.ts";
import { KubeError } from "#operator/kube/client.ts";
import { LEASE_SEC, LeaseElector, RENEW_DEADLINE_MS } from "#operator/kube/lease.ts";
import { ADDRESS_ANNOTATION, type Lease } from "#operator/kube/lease-object.ts";
import type { ManualClock } from "../../sidecar/resiliency/manual-clock.ts";
import { failure, type TestContext, testContext } from "./scripted-client.ts";

/** Longer than a candidate waits from one attempt to the next, in milliseconds. */
const A_TURN_MS = 4_500;

describe("lease elector", () => {
  let store: LeaseStore;
  let clock: ManualClock;
  let candidates: Candidate[];

  beforeEach(() => {
    store = new LeaseStore();
    candidates = [];
  });

  afterEach(async () => {
    for (const { elector } of candidates) await elector.close();
  });

  /** All share one clock. */
  function stand(identity: string): Candidate {
    const context = testContext((request) => store.answer(request, identity));
    clock = candidates[0]?.context.clock ?? context.clock;
    const options = { namespace: "system", name: "operator", identity, address: `${identity}:6500` };
    const elector = new LeaseElector({ ...context, clock }, options);
    const candidate = { context: { ...context, clock }, elector, changes: [] as boolean[] };
    elector.onChange(() => candidate.changes.push(elector.isLeader));
    candidates.push(candidate);
    elector.start();
    return candidate;
  }

  it("leads when there is no Lease, and says where it can be reached", async () => {
    const one = stand("one");
    await clock.advance(0);
    assert.equal(one.elector.isLeader, true);
    assert.deepEqual(one.elector.holder(), { identity: "one", address: "one:6500" });
    const { spec, metadata } = store.lease;
    assert.deepEqual(
      [spec.holderIdentity, spec.leaseDurationSeconds, spec.leaseTransitions, spec.renewTime],
      ["one", LEASE_SEC, 0, "1970-01-01T00:00:00.000000Z"],
    );
    assert.equal(metadata.annotations?.[ADDRESS_ANNOTATION], "one:6500");
  });

  it("has one leader of several, whom the others know, for as long as it renews", async () => {
    const all = ["one", "two", "three"].map(stand);
    for (let turn = 0; turn < 40; turn++) {
      await clock.advance(1_000);
      assert.equal(all.filter(({ elector }) => elector.isLeader).length, 1);
    }
    assert.deepEqual(all[1]?.elector.holder(), { identity: "one", address: "one:6500" });
    assert.deepEqual(
      all.map(({ changes }) => changes),
      [[true], [false], [false]],
    );
    assert.equal(store.lease.spec.leaseTransitions, 0);
  });

  it("hands over at once when the leader is closed", async () => {
    const [one, two] = [stand("one"), stand("two")];
    await clock.advance(A_TURN_MS);
    await one.elector.close();
    assert.equal(one.elector.isLeader, false);
    assert.deepEqual([store.lease.spec.holderIdentity, store.lease.metadata.annotations], ["", {}]);
    await clock.advance(A_TURN_MS);
    assert.equal(two.elector.isLeader, true);
    assert.equal(store.lease.spec.leaseTransitions, 1);
  });

  it("takes over from a leader that died, not before the Lease has run out by its own clock", async () => {
    const one = stand("one");
    await clock.advance(0);
    store.dead.add("one");
    await clock.advance(5 * 60_000);
    const two = stand("two");
    await clock.advance(LEASE_SEC * 1000 - 1);
    assert.equal(two.elector.isLeader, false);
    await clock.advance(A_TURN_MS + 1);
    assert.deepEqual([one.elector.isLeader, two.elector.isLeader], [false, true]);
  });

  it("does not trust the time that the Lease names", async () => {
    const two = stand("two");
    const stranger = { holderIdentity: "stranger", leaseDurationSeconds: 15, renewTime: "1999-01-01T00:00:00.000000Z" };
    store.put({ ...store.empty(), spec: stranger });
    await clock.advance(LEASE_SEC * 1000 - 1);
    assert.equal(two.elector.isLeader, false);
    assert.deepEqual(two.elector.holder(), { identity: "stranger", address: "" });
  });

  it("leads no more when it could not renew for the deadline, well before another does", async () => {
    const [one, two] = [stand("one"), stand("two")];
    await clock.advance(A_TURN_MS);
    store.dead.add("one");
    let together = 0;
    let handedOver = 0;
    for (let passed = 0; passed < 40_000; passed += 100) {
      await clock.advance(100);
      if (one.elector.isLeader && two.elector.isLeader) together++;
      if (!one.elector.isLeader && !two.elector.isLeader) handedOver += 100;
    }
    assert.equal(together, 0);
    assert.ok(handedOver >= LEASE_SEC * 1000 - RENEW_DEADLINE_MS - 200, `${handedOver} ms without a leader`);
    assert.deepEqual([one.changes, two.changes.at(-1)], [[true, false], true]);
    assert.equal(two.elector.isLeader, true);
  });

  it("tells the end of its leadership at the deadline while its request hangs", async () => {
    const one = stand("one");
    await clock.advance(0);
    one.context.client.answer = () => new Promise(() => undefined);
    await clock.advance(RENEW_DEADLINE_MS - 1);
    assert.deepEqual([one.elector.isLeader, one.changes], [true, [true]]);
    await clock.advance(2);
    assert.deepEqual([one.elector.isLeader, one.changes, one.elector.holder()], [false, [true, false], null]);
    one.context.client.answer = () => store.lease;
  });

  it("leads on through failures that end in time", async () => {
    const one = stand("one");
    await clock.advance(0);
    store.dead.add("one");
    await clock.advance(RENEW_DEADLINE_MS - 3_000);
    store.dead.delete("one");
    await clock.advance(30_000);
    assert.deepEqual(one.changes, [true]);
  });

  it("does not lead when another was faster", async () => {
    store.put({ ...store.empty(), spec: { holderIdentity: "" } });
    store.beforePut = () => {
      store.beforePut = () => undefined;
      store.put({ ...store.lease, spec: { holderIdentity: "stranger", leaseDurationSeconds: 15 } });
    };
    const one = stand("one");
    await clock.advance(A_TURN_MS);
    assert.equal(one.elector.isLeader, false);
    assert.equal(store.lease.spec.holderIdentity, "stranger");
  });

  it("leaves the Lease of another alone when it is closed", async () => {
    stand("one");
    await clock.advance(0);
    const two = stand("two");
    await clock.advance(A_TURN_MS);
    await two.elector.close();
    assert.equal(store.lease.spec.holderIdentity, "one");
  });
});

interface Candidate {
  readonly context: TestContext;
  readonly elector: LeaseElector;
  /** Whether it led, each time that it told a change. */
  readonly changes: boolean[];
}

/** One Lease with the API server's rule on versions. */
class LeaseStore {
  /** Who gets no answer. */
  readonly dead = new Set<string>();
  beforePut: () => void = () => undefined;
  #lease: Lease | null = null;
  #version = 0;

  get lease(): Lease {
    assert.ok(this.#lease !== null, "there is no Lease");
    return this.#lease;
  }

  empty(): Lease {
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "operator", namespace: "system" },
      spec: {},
    };
  }

  put(lease: Lease): Lease {
    this.#lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(++this.#version) } };
    return this.#lease;
  }

  answer({ method, body, path }: KubeRequest, who: string): Lease {
    if (this.dead.has(who)) throw failure(0, "connection refused");
    assert.match(path, /^\/apis\/coordination.k8s.io\/v1\/namespaces\/system\/leases/);
    if (method === "POST") return this.#lease === null ? this.put(body as Lease) : refuse(409, "AlreadyExists");
    if (this.#lease === null) return refuse(404, "NotFound");
    if (method === "GET") return this.#lease;
    this.beforePut();
    const asked = (body as Lease).metadata.resourceVersion;
    return asked === this.#lease.metadata.resourceVersion ? this.put(body as Lease) : refuse(409, "Conflict");
  }
}

function refuse(status: number, reason: string): never {
  throw new KubeError(reason, { status, reason, retryAfterMs: null });
}
