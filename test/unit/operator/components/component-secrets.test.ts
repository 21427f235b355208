import assert from "node:assert/strict";
import type { Distributed } from "#operator/components/resource-table.ts";
import { CHECK_MS, POLL_MS, RETRY_MS, WATCHES_MAX } from "#operator/components/secret-watch.ts";
import { type Bench, kubeError, secretRef, startBench } from "./bench.ts";

/** In which one Secret in trouble is surely asked for again. */
const RETRY_WAIT_MS = RETRY_MS + 1000;
const PLANTED = "pl4nted-secret-value";

describe("secrets of Components", () => {
  let bench: Bench;

  beforeEach(async () => {
    bench = await startBench();
  });
  afterEach(() => bench.close());

  const partsOf = (name = "orders") => [...bench.table.of("shop")].find((entry) => entry.name === name)?.secrets;
  const isResolved = ({ secrets }: Distributed) => secrets.every((part) => "value" in part);
  const inTable = () => [...bench.table.of("shop")].map(({ name }) => name);

  it("come with their name and key beside the value", async () => {
    bench.setSecret("redis", { password: "x" });
    await bench.put({ type: "state.redis", metadata: [secretRef("redis", "password")] });
    assert.deepEqual(partsOf(), [{ name: "redis", key: "password", value: "eA==" }]);
    assert.equal(bench.verdict("SecretsResolved"), "True Resolved");
  });

  it("have the Secret's name as key when the manifest gives none", async () => {
    bench.setSecret("redis", { redis: "x" });
    await bench.put({ metadata: [secretRef("redis")] });
    assert.deepEqual(partsOf(), [{ name: "redis", key: "redis", value: "eA==" }]);
  });

  it("that are missing are told, and taken up when they are created", async () => {
    await bench.put({ metadata: [secretRef("redis", "password")] });
    assert.equal(bench.verdict("SecretsResolved"), "False SecretNotFound");
    assert.equal(bench.verdict("Ready"), "False SecretNotFound");
    assert.deepEqual(Object.keys(partsOf()?.[0] ?? {}), ["name", "key", "problem"]);
    bench.setSecret("redis", { password: "x" });
    await bench.rest(1000);
    assert.equal(bench.verdict("SecretsResolved"), "True Resolved");
    assert.deepEqual(partsOf(), [{ name: "redis", key: "password", value: "eA==" }]);
  });

  it("without the key are told with the key", async () => {
    bench.setSecret("redis", { passwd: PLANTED });
    await bench.put({ metadata: [secretRef("redis", "password")] });
    assert.equal(bench.verdict("SecretsResolved"), "False KeyNotFound");
    assert.match(bench.condition("SecretsResolved")?.message ?? "", /Secret "redis" .* no key "password"/);
  });

  it("have only the keys that they were given", async () => {
    bench.setSecret("redis", { password: "x" });
    await bench.put({ metadata: [secretRef("redis", "constructor")] });
    assert.equal(bench.verdict("SecretsResolved"), "False KeyNotFound");
  });

  it("that may not be read are told with the command that grants it, and taken up soon after the grant", async () => {
    bench.setSecret("redis", { password: "x" });
    bench.refuse = ({ path }) => (path.includes("/secrets/") ? kubeError(403) : null);
    await bench.put({ metadata: [secretRef("redis", "password")] });
    assert.equal(bench.verdict("SecretsResolved"), "False Forbidden");
    const command =
      "helm upgrade pannier charts/pannier --namespace pannier-system --reset-then-reuse-values" +
      " --set 'secrets.namespaces={default,shop}'";
    assert.ok(bench.condition("SecretsResolved")?.message.endsWith(command));
    assert.equal(bench.followed.size, 0);
    bench.refuse = () => null;
    await bench.rest(RETRY_WAIT_MS);
    assert.equal(bench.verdict("SecretsResolved"), "True Resolved");
    assert.equal(bench.followed.size, 1);
  });

  it("that may not be read are asked for less often the more they are, and all at once when one may", async () => {
    bench.refuse = ({ path }) => (path.includes("/secrets/") ? kubeError(403) : null);
    for (let i = 0; i < 500; i++) {
      bench.setSecret(`s${i}`, { [`s${i}`]: "x" });
      bench.components.put(bench.componentOf({ name: `c${i}`, metadata: [secretRef(`s${i}`)] }));
    }
    for (let i = 0; i < 10; i++) await bench.rest(100);
    const { reads } = bench;
    for (let i = 0; i < 60; i++) await bench.rest(1000);
    assert.ok(bench.reads - reads < 60 * 20, String(bench.reads - reads));
    bench.refuse = () => null;
    for (let i = 0; i < 20; i++) await bench.rest(500);
    assert.equal([...bench.table.of("shop")].filter(isResolved).length, 500);
  }).timeout(120_000);

  it("that could never be read are told as unavailable; those that were read before stay", async () => {
    bench.setSecret("redis", { password: "x" });
    bench.refuse = ({ path }) => (path.includes("/secrets/") ? kubeError(500) : null);
    await bench.put({ metadata: [secretRef("redis", "password")] });
    assert.equal(bench.verdict("SecretsResolved"), "False Unavailable");
    bench.refuse = () => null;
    await bench.rest(RETRY_WAIT_MS);
    assert.equal(bench.verdict("SecretsResolved"), "True Resolved");
    bench.refuse = ({ path }) => (path.includes("/secrets/") ? kubeError(0) : null);
    bench.setSecret("redis", { password: "y" });
    await bench.rest(1000);
    assert.equal(bench.verdict("SecretsResolved"), "True Resolved");
    bench.refuse = () => null;
    await bench.rest(RETRY_WAIT_MS);
    assert.deepEqual(partsOf(), [{ name: "redis", key: "password", value: "eQ==" }]);
  });

  it("that are rotated reach the table at once", async () => {
    bench.setSecret("redis", { password: "old" });
    await bench.put({ metadata: [secretRef("redis", "password")] });
    bench.setSecret("redis", { password: "new" });
    await bench.rest();
    assert.deepEqual(partsOf(), [{ name: "redis", key: "password", value: "bmV3" }]);
  });

  it("of one Component that fail leave its neighbours alone", async () => {
    bench.setSecret("good", { good: "x" });
    bench.refuse = ({ path }) => (path.endsWith("/secrets/bad") ? kubeError(500) : null);
    await bench.put({ name: "bad", metadata: [secretRef("bad")] });
    await bench.put({ name: "good", metadata: [secretRef("good")] });
    assert.equal(bench.verdict("SecretsResolved", "bad"), "False Unavailable");
    assert.equal(bench.verdict("SecretsResolved", "good"), "True Resolved");
    assert.deepEqual(inTable(), ["bad", "good"]);
  });

  it("are not asked for where another secret store has them", async () => {
    await bench.put({ metadata: [secretRef("redis")], secretStore: "vault" });
    assert.equal(bench.verdict("SecretsResolved"), "Unknown ResolvedInSidecar");
    assert.deepEqual([bench.reads, partsOf()], [0, []]);
  });

  it("are the cluster's where the secret store is a Component that stands for them, also when it comes later", async () => {
    bench.setSecret("redis", { redis: "x" });
    await bench.put({ metadata: [secretRef("redis")], secretStore: "cluster" });
    await bench.put({ name: "cluster", type: "secretstores.kubernetes" });
    await bench.rest(1000);
    assert.equal(bench.verdict("SecretsResolved"), "True Resolved");
  });

  it("with a name that is a path are not asked for", async () => {
    await bench.put({ metadata: [secretRef("../../kube-system/secrets/token")] });
    assert.equal(bench.verdict("SecretsResolved"), "False SecretNotFound");
    assert.match(bench.condition("SecretsResolved")?.message ?? "", /is no name that a Secret can have/);
    assert.equal(bench.reads, 0);
  });

  it("are followed while somebody refers to them, and no longer", async () => {
    await bench.put({ name: "a", metadata: [secretRef("redis")] });
    await bench.put({ name: "b", metadata: [secretRef("redis")] });
    assert.deepEqual([...bench.followed.keys()], ["shop/redis"]);
    bench.components.remove("shop/a");
    await bench.rest();
    assert.equal(bench.followed.size, 1);
    await bench.put({ name: "b", metadata: [] });
    assert.equal(bench.followed.size, 0);
    const { reads } = bench;
    await bench.rest(2 * CHECK_MS);
    assert.equal(bench.reads, reads);
  });

  it("beyond the most watches are asked for again and again", async () => {
    for (let i = 0; i <= WATCHES_MAX; i++) {
      bench.components.put(bench.componentOf({ name: `c${i}`, metadata: [secretRef(`s${i}`)] }));
    }
    await bench.rest(100);
    for (let i = 0; i < 20; i++) await bench.rest();
    assert.equal(bench.followed.size, WATCHES_MAX);
    const last = `c${WATCHES_MAX}`;
    assert.equal(bench.verdict("SecretsResolved", last), "False SecretNotFound");
    bench.setSecret(`s${WATCHES_MAX}`, { [`s${WATCHES_MAX}`]: "x" });
    await bench.rest(POLL_MS);
    assert.equal(bench.verdict("SecretsResolved", last), "True Resolved");
  });

  it("appear in no status, Event, log line or request", async () => {
    bench.setSecret("redis", { password: PLANTED, other: PLANTED });
    await bench.put({ type: "state.redis", metadata: [secretRef("redis", "password"), secretRef("redis", "none")] });
    bench.report("app-1", { state: "failed", message: "refused" });
    await bench.rest(2000);
    bench.refuse = ({ method }) => (method === "PATCH" ? kubeError(500) : null);
    bench.report("app-1");
    await bench.rest(2000);
    const base64 = Buffer.from(PLANTED).toString("base64");
    assert.equal(JSON.stringify(partsOf()).includes(base64), true);
    const seen = JSON.stringify([bench.told, bench.lines, bench.asked, [...bench.components.all()]]);
    assert.ok(bench.lines.length > 0 && bench.told.length > 0);
    for (const text of [PLANTED, base64]) assert.equal(seen.includes(text), false);
  });
});
