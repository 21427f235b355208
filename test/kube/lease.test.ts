// Two electors on a real Lease.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { LeaseElector } from "#operator/kube/lease.ts";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { kubeContext, type TestContext } from "../cluster/kube-context.ts";

const WITHIN_MS = 60_000;

describeWithBed("leader election on an API server", () => {
  let bed: Bed;
  let namespace: string;
  let contexts: TestContext[];
  let electors: LeaseElector[];

  before(async () => {
    bed = await sharedBed();
  });

  beforeEach(async () => {
    namespace = await bed.namespace();
    contexts = [];
    electors = [];
  });

  afterEach(async () => {
    for (const elector of electors) await elector.close();
    for (const { client } of contexts) client.close();
  });

  /** Time runs twice as fast for it: a Lease ends after 7.5 seconds. */
  function stand(identity: string): { readonly elector: LeaseElector; readonly context: TestContext } {
    const context = kubeContext(bed.kubeconfig, { speed: 2 });
    const elector = new LeaseElector(context, { namespace, name: "operator", identity, address: `${identity}:6500` });
    contexts.push(context);
    electors.push(elector);
    elector.start();
    return { elector, context };
  }

  async function until(holds: () => boolean): Promise<void> {
    const end = Date.now() + WITHIN_MS;
    while (!holds()) {
      assert.ok(Date.now() < end, `not within ${WITHIN_MS} ms: ${holds}`);
      assert.ok(electors.filter(({ isLeader }) => isLeader).length <= 1, "two lead at once");
      await pause(20);
    }
  }

  it("has one leader, whom the other knows, and hands over on release and on death", async function () {
    this.timeout(4 * WITHIN_MS);
    const one = stand("one");
    await until(() => one.elector.isLeader);
    const two = stand("two");
    await until(() => two.elector.holder() !== null);
    assert.deepEqual(two.elector.holder(), { identity: "one", address: "one:6500" });
    await one.elector.close();
    await until(() => two.elector.isLeader);
    const three = stand("three");
    await until(() => three.elector.holder()?.identity === "two");
    // It cannot say goodbye.
    two.context.client.close();
    await until(() => three.elector.isLeader);
    assert.equal(two.elector.isLeader, false);
    const lease = JSON.parse(await bed.kubectl(["-n", namespace, "get", "lease", "operator", "-o", "json"]));
    assert.deepEqual([lease.spec.holderIdentity, lease.spec.leaseTransitions], ["three", 2]);
    assert.equal(lease.metadata.annotations["pannier.io/address"], "three:6500");
  });

  it("has one leader when several stand at the same moment", async () => {
    const all = ["a", "b", "c", "d"].map((identity) => stand(identity).elector);
    await until(() => all.every((elector) => elector.holder() !== null));
    assert.equal(all.filter(({ isLeader }) => isLeader).length, 1);
  });
});
