// Components as a platform engineer meets them: apply one, and see by kubectl whether it works and why not.
import assert from "node:assert/strict";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { installCrds } from "../cluster/crds.ts";
import {
  type ComponentOperator,
  grantSecrets,
  manifest,
  operatorUser,
  report,
  setSecret,
  startComponentOperator,
  until,
  untilShown,
} from "./component-operator.ts";

const USER = "pannier-components";
const COMPONENTS = 1000;
/** A thousand Components are made, judged and written by two cores that do more than this; in milliseconds. */
const THOUSAND_WITHIN_MS = 240_000;

describeWithBed("Components on a cluster", () => {
  let bed: Bed;
  let kubeconfig: string;
  let namespace: string;
  let operator: ComponentOperator;

  before(async function () {
    this.timeout(300_000);
    bed = await sharedBed();
    await installCrds(bed);
    kubeconfig = await operatorUser(bed, USER);
  });

  beforeEach(async function () {
    this.timeout(120_000);
    namespace = await bed.namespace();
    await grantSecrets(bed, namespace, USER);
    operator = await startComponentOperator({ kubeconfig, namespaces: [namespace] });
  });
  afterEach(() => operator.close());

  const apply = (name: string, rest: { type?: string; metadata?: readonly object[]; in?: string } = {}) =>
    bed.kubectl(["apply", "-f", "-"], manifest({ name, namespace: rest.in ?? namespace, ...rest }));
  const shown = (name: string, wanted: string) => untilShown(bed, namespace, name, wanted);
  const password = (secret: string, key: string) => ({
    name: "redisPassword",
    secretKeyRef: { name: secret, key },
  });
  const secretsOf = (name: string) => [...operator.table.of(namespace)].find((each) => each.name === name)?.secrets;
  const messageOf = async (name: string, type: string): Promise<string> => {
    const path = `jsonpath={.status.conditions[?(@.type=="${type}")].message}`;
    return bed.kubectl(["-n", namespace, "get", "components", name, "-o", path]);
  };

  it("say whether they work and why not, each for itself", async () => {
    await setSecret(bed, namespace, "redis", { password: "x" });
    await apply("good", { type: "state.redis", metadata: [password("redis", "password")] });
    await apply("wrong", { type: "state.redis", metadata: [{ name: "redisMaxRetries", value: "ten" }] });
    await apply("typo", { type: "sate.redis" });
    await apply("secretless", { metadata: [password("none", "password")] });
    await apply("keyless", { metadata: [password("redis", "passwort")] });
    await shown("good", "Unknown NoSidecar");
    await report(bed, operator, { namespace, name: "good" });
    await shown("good", "True Ready");
    await shown("wrong", "False Invalid");
    await shown("typo", "False TypeUnknown");
    await shown("secretless", "False SecretNotFound");
    await shown("keyless", "False KeyNotFound");
    assert.match(await messageOf("wrong", "MetadataValid"), /redisMaxRetries: got "ten", want a whole number/);
    assert.match(await messageOf("typo", "MetadataValid"), /state\.redis/);
  }).timeout(120_000);

  it("of a type that a pod may bring are what sidecars say, and unknown before one does", async () => {
    await apply("mine", { type: "state.my-store" });
    await shown("mine", "Unknown TypeUnknown");
    assert.match(
      await messageOf("mine", "Ready"),
      /^a pod may bring such a store as a pluggable component.*; else spec\./,
    );
    await until(() => secretsOf("mine") !== undefined, "sidecars are given it");
    const message = "no socket my-store.* in /tmp/dapr-components-sockets";
    await report(bed, operator, { namespace, name: "mine", state: "failed", reachable: null, message });
    await shown("mine", "False NotLoaded");
    assert.match(await messageOf("mine", "Ready"), /pod app-1 of app app: no socket my-store/);
    await report(bed, operator, { namespace, name: "mine" });
    await shown("mine", "True Ready");
    operator.reports.remove(`${namespace}-1`);
    await shown("mine", "Unknown TypeUnknown");
  }).timeout(120_000);

  it("show what their sidecars say of the store, by app", async () => {
    await apply("orders");
    await shown("orders", "Unknown NoSidecar");
    await report(bed, operator, { namespace, name: "orders", reachable: false, message: "connection refused" });
    await shown("orders", "False Unreachable");
    const apps = await bed.kubectl(["-n", namespace, "get", "components", "orders", "-o", "jsonpath={.status.apps}"]);
    const [app] = JSON.parse(apps);
    assert.deepEqual([app.appId, app.ready, app.total, app.message], ["app", 0, 1, "pod app-1: connection refused"]);
    operator.reports.remove(`${namespace}-1`);
    await shown("orders", "Unknown NoSidecar");
  }).timeout(120_000);

  it("take up a Secret that is created, rotated and deleted later", async () => {
    await apply("orders", { metadata: [password("redis", "password")] });
    await shown("orders", "False SecretNotFound");
    await setSecret(bed, namespace, "redis", { password: "first" });
    await shown("orders", "Unknown NoSidecar");
    const valueIs = (value: string) => () => {
      const [part] = secretsOf("orders") ?? [];
      return part !== undefined && "value" in part && Buffer.from(part.value, "base64").toString() === value;
    };
    await until(valueIs("first"), "the secret reaches the table");
    await setSecret(bed, namespace, "redis", { password: "second" });
    await until(valueIs("second"), "the rotated secret reaches the table", 10_000);
    await bed.kubectl(["-n", namespace, "delete", "secret", "redis"]);
    await shown("orders", "False SecretNotFound");
  }).timeout(120_000);

  it("of a namespace whose Secrets may not be read carry the command that grants it, and go on when it is run", async () => {
    const closed = await bed.namespace();
    const second = await startComponentOperator({ kubeconfig, namespaces: [closed] });
    try {
      await setSecret(bed, closed, "redis", { password: "x" });
      await apply("orders", { metadata: [password("redis", "password")], in: closed });
      await untilShown(bed, closed, "orders", "False Forbidden");
      const path = 'jsonpath={.status.conditions[?(@.type=="SecretsResolved")].message}';
      assert.ok(
        (await bed.kubectl(["-n", closed, "get", "components", "orders", "-o", path])).endsWith(
          "helm upgrade pannier charts/pannier --namespace pannier-system --reset-then-reuse-values" +
            ` --set 'secrets.namespaces={${closed}}'`,
        ),
      );
      await grantSecrets(bed, closed, USER);
      await untilShown(bed, closed, "orders", "Unknown NoSidecar");
    } finally {
      await second.close();
    }
  }).timeout(300_000);

  it("of another building block get no status and reach no sidecar", async () => {
    await apply("bus", { type: "pubsub.redis" });
    await apply("orders");
    await shown("orders", "Unknown NoSidecar");
    assert.equal(await bed.kubectl(["-n", namespace, "get", "components", "bus", "-o", "jsonpath={.status}"]), "");
    assert.deepEqual(
      [...operator.table.of(namespace)].map(({ name }) => name),
      ["orders"],
    );
  }).timeout(120_000);

  it("leave the table when they are deleted", async () => {
    await apply("orders");
    await until(() => secretsOf("orders") !== undefined, "it is in the table");
    await bed.kubectl(["-n", namespace, "delete", "components", "orders"]);
    await until(() => secretsOf("orders") === undefined, "it has left the table");
  }).timeout(120_000);

  it(`are a thousand, and one that fails holds up none`, async () => {
    await setSecret(bed, namespace, "redis", { password: "x" });
    const all = Array.from({ length: COMPONENTS }, (_, i) =>
      manifest({ name: `c${i}`, namespace, metadata: [password(i === 500 ? "none" : "redis", "password")] }),
    );
    await bed.kubectl(["create", "-f", "-"], all.join("\n"));
    const reasons = async () => {
      const path = 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].reason}{"\\n"}{end}';
      const lines = (await bed.kubectl(["-n", namespace, "get", "components", "-o", path])).split("\n");
      const counts = Map.groupBy(lines.filter(Boolean), (line) => line);
      return JSON.stringify([counts.get("NoSidecar")?.length, counts.get("SecretNotFound")?.length]);
    };
    const wanted = JSON.stringify([COMPONENTS - 1, 1]);
    await until(
      async () => {
        const seen = await reasons();
        return seen === wanted || seen;
      },
      "all have their status",
      THOUSAND_WITHIN_MS,
    );
    assert.equal([...operator.table.of(namespace)].length, COMPONENTS);
  }).timeout(2 * THOUSAND_WITHIN_MS);
});
