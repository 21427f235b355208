// Who writes the status of Components and what becomes of it: one of two replicas, beside other writers, where there is no
// status at all; and that no value of a secret is in any of it.
import assert from "node:assert/strict";
import { shownStatus } from "#operator/components/shown-status.ts";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { installCrds, installDaprCrds } from "../cluster/crds.ts";
import { fastClock } from "../cluster/kube-context.ts";
import {
  type ComponentOperator,
  grantSecrets,
  manifest,
  type Options,
  operatorUser,
  report,
  setSecret,
  startComponentOperator,
  until,
  untilShown,
} from "./component-operator.ts";

const USER = "pannier-status";
const PLANTED = "pl4nted-secret-value";
const BROKEN = { type: "state.redis", metadata: [{ name: "redisMaxRetries", value: "ten" }] };
/** So that ten minutes pass in two seconds. */
const SPEED = 300;

describeWithBed("status of Components", () => {
  let bed: Bed;
  let kubeconfig: string;
  let namespace: string;
  let operators: ComponentOperator[];

  before(async function () {
    this.timeout(300_000);
    bed = await sharedBed();
    await installCrds(bed);
    kubeconfig = await operatorUser(bed, USER);
  });

  beforeEach(async function () {
    this.timeout(120_000);
    operators = [];
    namespace = await bed.namespace();
    await grantSecrets(bed, namespace, USER);
  });
  afterEach(async () => {
    for (const operator of operators) await operator.close();
  });

  const start = async (options: Partial<Options> = {}): Promise<ComponentOperator> => {
    const operator = await startComponentOperator({ kubeconfig, namespaces: [namespace], ...options });
    operators.push(operator);
    return operator;
  };
  const apply = (name: string, rest: { type?: string; metadata?: readonly object[] } = {}) =>
    bed.kubectl(["apply", "-f", "-"], manifest({ name, namespace, ...rest }));
  const get = async (name: string) =>
    JSON.parse(await bed.kubectl(["-n", namespace, "get", "components", name, "--show-managed-fields", "-o", "json"]));
  const events = async (name: string): Promise<readonly string[]> => {
    const { items } = JSON.parse(await bed.kubectl(["-n", namespace, "get", "events.events.k8s.io", "-o", "json"]));
    return items
      .filter((event: { regarding: { name: string } }) => event.regarding.name === name)
      .map((event: { type: string; reason: string }) => `${event.type} ${event.reason}`)
      .sort();
  };

  it("is written by the one replica that leads, and by the other when that takes over", async () => {
    let leader = "operator-0";
    const first = await start({ name: "operator-0", mayWrite: () => leader === "operator-0" });
    const second = await start({ name: "operator-1", mayWrite: () => leader === "operator-1" });
    await apply("orders", BROKEN);
    await untilShown(bed, namespace, "orders", "False Invalid");
    await until(() => [...second.table.of(namespace)].length === 1, "the other serves it too");
    const { resourceVersion } = (await get("orders")).metadata;
    leader = "operator-1";
    second.controller.addAll();
    await report(bed, first, { namespace, name: "orders" });
    await apply("later", BROKEN);
    await untilShown(bed, namespace, "later", "False Invalid");
    assert.equal((await get("orders")).metadata.resourceVersion, resourceVersion);
    await until(async () => (await events("later")).join() === "Warning Invalid", "one Event");
    assert.deepEqual(await events("orders"), ["Warning Invalid"]);
  }).timeout(120_000);

  it("belongs to one field manager, and leaves the conditions of others alone", async () => {
    await start();
    await apply("orders");
    await untilShown(bed, namespace, "orders", "Unknown NoSidecar");
    const condition = { type: "Approved", status: "True", reason: "Reviewed", message: "by hand" };
    const status = { conditions: [{ ...condition, lastTransitionTime: "2026-01-01T00:00:00Z" }] };
    const metadata = { name: "orders", namespace };
    await bed.kubectl(
      ["apply", "--server-side", "--subresource=status", "--field-manager=reviewer", "-f", "-"],
      JSON.stringify({ apiVersion: "dapr.io/v1alpha1", kind: "Component", metadata, status }),
    );
    await bed.kubectl(["-n", namespace, "patch", "components", "orders", "--type=merge", "-p", '{"scopes":["app"]}']);
    await until(async () => (await get("orders")).status.observedGeneration === 2, "the new generation is seen");
    const object = await get("orders");
    assert.equal(object.status.conditions.length, 5);
    const managers = object.metadata.managedFields.map(({ manager }: { manager: string }) => manager);
    assert.ok(managers.includes("pannier-status") && managers.includes("reviewer"));
  }).timeout(120_000);

  it("is not written again when nothing changes, also by an operator that is started anew", async () => {
    const operator = await start();
    await apply("orders", BROKEN);
    await untilShown(bed, namespace, "orders", "False Invalid");
    const { resourceVersion } = (await get("orders")).metadata;
    operator.controller.addAll();
    await start();
    await apply("later");
    await untilShown(bed, namespace, "later", "Unknown NoSidecar");
    assert.equal((await get("orders")).metadata.resourceVersion, resourceVersion);
    assert.deepEqual(await events("orders"), ["Warning Invalid"]);
  }).timeout(120_000);

  it("of reports that go to and fro is told by one Event for each change", async () => {
    const operator = await start();
    await apply("orders");
    await untilShown(bed, namespace, "orders", "Unknown NoSidecar");
    await report(bed, operator, { namespace, name: "orders" });
    await untilShown(bed, namespace, "orders", "True Ready");
    await report(bed, operator, { namespace, name: "orders", reachable: false, message: "connection refused" });
    await untilShown(bed, namespace, "orders", "False Unreachable");
    const wanted = ["Normal Ready", "Warning Unreachable"].join();
    await until(async () => (await events("orders")).join() === wanted || String(await events("orders")), wanted);
  }).timeout(120_000);

  it("holds no value of a secret, nor does any Event or line of the log", async () => {
    const operator = await start();
    await setSecret(bed, namespace, "redis", { password: PLANTED, other: PLANTED });
    const reference = (key: string) => ({ name: "redisPassword", secretKeyRef: { name: "redis", key } });
    await apply("orders", { type: "state.redis", metadata: [reference("password")] });
    await apply("keyless", { type: "state.redis", metadata: [reference("password"), reference("none")] });
    await untilShown(bed, namespace, "keyless", "False KeyNotFound");
    await report(bed, operator, { namespace, name: "orders" });
    await untilShown(bed, namespace, "orders", "True Ready");
    await bed.kubectl(["-n", namespace, "delete", "secret", "redis"]);
    await untilShown(bed, namespace, "orders", "False SecretNotFound");
    await until(async () => (await events("orders")).length > 1, "its Events are written");
    const seen = [
      await bed.kubectl(["-n", namespace, "get", "components,events,events.events.k8s.io", "-o", "yaml"]),
      ...operator.context.lines,
    ].join("\n");
    const base64 = Buffer.from(PLANTED).toString("base64");
    for (const text of [PLANTED, base64]) assert.equal(seen.includes(text), false);
  }).timeout(120_000);

  describe("with Dapr's own CRDs in place", () => {
    before(async function () {
      this.timeout(120_000);
      await installDaprCrds(bed);
    });
    after(async function () {
      this.timeout(120_000);
      await installCrds(bed);
    });

    it("is not there: Components are served, trouble is told by Events, and it is said once", async () => {
      const operator = await start({ statusClock: fastClock(SPEED) });
      await setSecret(bed, namespace, "redis", { password: "x" });
      await apply("wrong", BROKEN);
      await apply("orders", { metadata: [{ name: "a", secretKeyRef: { name: "redis", key: "password" } }] });
      await until(() => [...operator.table.of(namespace)].length === 2, "both are served");
      await until(async () => (await events("wrong")).join() === "Warning Invalid", "an Event tells what is wrong");
      assert.deepEqual(await events("orders"), []);
      assert.equal(shownStatus((await get("wrong")).status), null);
      const notes = () => operator.context.lines.filter((line) => line.includes("have no status")).length;
      assert.equal(notes(), 1);
      await installCrds(bed);
      operator.controller.addAll();
      await until(() => {
        operator.controller.addAll();
        return get("wrong").then(({ status }) => status?.observedGeneration === 1);
      }, "the status comes with our CRDs");
      assert.equal(notes(), 1);
      assert.deepEqual(await events("wrong"), ["Warning Invalid"]);
    }).timeout(300_000);
  });
});
