// Resiliency over HTTP (dapr-state-api.md 7), with a Redis that hangs and goes on.
import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { ask, errorOf, STORE, save } from "./client.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";

const WAIT_LIMIT_MS = 30_000;

function resiliency(policies: string, outbound: string, name = "policies"): string {
  return `apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata:
  name: ${name}
spec:
  policies: ${policies}
  targets:
    components:
      statestore:
        outbound: ${outbound}
`;
}

/** Long enough for a server that answers, however busy the machine is. */
const TIMEOUT_MS = 2000;

/** A circuit is open for so long: time enough to see it. */
const OPEN_MS = 5000;

describeWithRedis("Resiliency", () => {
  let server: RedisServer;
  let wire: WireSidecar | null = null;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  afterEach(async () => {
    server.resume();
    await wire?.stop();
    wire = null;
  });

  async function start(file: string, more: Readonly<Record<string, string>> = {}): Promise<WireSidecar> {
    const redis = component("statestore", "state.redis", {
      redisHost: `127.0.0.1:${server.port}`,
      // The policy ends what hangs, and not the driver.
      readTimeout: "5m",
    });
    wire = await startWire({ manifests: { "a.yaml": redis, "resiliency.yaml": file, ...more } });
    return wire;
  }

  async function change(of: WireSidecar, file: string): Promise<void> {
    await writeFile(join(of.folder, "part~"), file);
    await rename(join(of.folder, "part~"), join(of.folder, "resiliency.yaml"));
    await of.sidecar.reload();
  }

  async function series(of: WireSidecar, pattern: RegExp): Promise<string[]> {
    const { text } = await of.ask("GET", "/", { port: of.sidecar.metricsPort ?? 0 });
    return text.split("\n").filter((line) => pattern.test(line));
  }

  it("cuts an attempt off at its timeout, as 500 with the operation's code", async () => {
    const sidecar = await start(resiliency(`{timeouts: {quick: ${TIMEOUT_MS}ms}}`, "{timeout: quick}"));
    await save(sidecar, "k", "1");
    server.pause();
    const get = await ask(sidecar, "GET", `${STORE}/k`);
    assert.equal(get.status, 500);
    assert.equal(errorOf(get).errorCode, "ERR_STATE_GET");
    assert.match(errorOf(get).message, /context deadline exceeded: statestore gave no answer within 2s/);
    const post = await ask(sidecar, "POST", STORE, [{ key: "k", value: 2 }]);
    assert.deepEqual([post.status, errorOf(post).errorCode], [500, "ERR_STATE_SAVE"]);
    const bulk = [1, 2, 3].map((value) => ({ key: `b${value}`, value }));
    const several = await ask(sidecar, "POST", STORE, bulk);
    assert.match(errorOf(several).message, /3 of 3 items failed, 3 of them may have been written all the same/);
  });

  it("tries again until the store answers", async () => {
    const policies = `{timeouts: {quick: ${TIMEOUT_MS}ms}, retries: {often: {policy: constant, duration: 50ms, maxRetries: 100}}}`;
    const sidecar = await start(resiliency(policies, "{timeout: quick, retry: often}"));
    await save(sidecar, "again", "1");
    server.pause();
    const answer = ask(sidecar, "GET", `${STORE}/again`);
    await until(async () => (await series(sidecar, /^dapr_resiliency_activations_total\{.*policy="retry"/)).length > 0);
    server.resume();
    assert.deepEqual([(await answer).status, (await answer).text], [200, "1"]);
  });

  it("never tries a conflict again", async () => {
    const sidecar = await start(resiliency("{retries: {often: {duration: 10s}}}", "{retry: often}"));
    await save(sidecar, "c", "1");
    const conflict = await ask(sidecar, "POST", STORE, [{ key: "c", value: 2, etag: "77" }]);
    assert.equal(conflict.status, 409);
    const deletion = await ask(sidecar, "DELETE", `${STORE}/c`, undefined, { "If-Match": "77" });
    assert.equal(deletion.status, 409);
    const operations = [{ operation: "upsert", request: { key: "c", value: 2, etag: "77" } }];
    assert.equal((await ask(sidecar, "POST", `${STORE}/transaction`, { operations })).status, 409);
    assert.deepEqual(await series(sidecar, /^dapr_resiliency_activations_total\{/), []);
  });

  it("opens a circuit for all operations of the store, tries again later and closes it", async () => {
    const policies = `{timeouts: {quick: ${TIMEOUT_MS}ms}, circuitBreakers: {cb: {timeout: ${OPEN_MS}ms, trip: consecutiveFailures >= 2}}}`;
    const sidecar = await start(resiliency(policies, "{timeout: quick, circuitBreaker: cb}"), {
      "b.yaml": component("other", "state.in-memory"),
    });
    server.pause();
    for (let i = 0; i < 2; i++) assert.equal((await ask(sidecar, "GET", `${STORE}/k`)).status, 500);
    const refused = await ask(sidecar, "POST", STORE, [{ key: "k", value: 2 }]);
    assert.equal(refused.status, 500);
    assert.match(errorOf(refused).message, /circuit breaker is open: statestore has failed too often/);
    const open = /^dapr_resiliency_cb_state\{.*status="open"\} 1$/;
    assert.equal((await series(sidecar, open)).length, 1);
    await save(sidecar, "k", "1", "/v1.0/state/other");
    server.resume();
    await delay(OPEN_MS);
    // One request: a half-open circuit that lets one of its items through refuses none of the others.
    const items = Array.from({ length: 20 }, (_, value) => ({ key: `h${value}`, value }));
    assert.equal((await ask(sidecar, "POST", STORE, items)).status, 204);
    assert.equal((await series(sidecar, open)).length, 0);
    assert.equal((await ask(sidecar, "GET", `${STORE}/h7`)).text, "7");
  });

  it("has Dapr's series and labels", async () => {
    const policies = `{timeouts: {quick: ${TIMEOUT_MS}ms}, retries: {none: {maxRetries: 0}}, circuitBreakers: {cb: {trip: consecutiveFailures >= 1}}}`;
    const sidecar = await start(resiliency(policies, "{timeout: quick, retry: none, circuitBreaker: cb}"));
    await save(sidecar, "k", "1");
    server.pause();
    await ask(sidecar, "GET", `${STORE}/k`);
    const common = 'app_id="wire",flow_direction="outbound",name="policies",namespace="",policy=';
    const target = 'target="Statestore_statestore",status=';
    assert.deepEqual((await series(sidecar, /^dapr_resiliency_/)).sort(), [
      `dapr_resiliency_activations_total{${common}"circuitbreaker",${target}"open"} 1`,
      `dapr_resiliency_activations_total{${common}"timeout",${target}""} 1`,
      `dapr_resiliency_cb_state{${common}"circuitbreaker",${target}"closed"} 0`,
      `dapr_resiliency_cb_state{${common}"circuitbreaker",${target}"half-open"} 0`,
      `dapr_resiliency_cb_state{${common}"circuitbreaker",${target}"open"} 1`,
      `dapr_resiliency_cb_state{${common}"circuitbreaker",${target}"unknown"} 0`,
      `dapr_resiliency_count{${common}"circuitbreaker",${target}"closed"} 2`,
      `dapr_resiliency_count{${common}"retry",${target}""} 2`,
      `dapr_resiliency_count{${common}"timeout",${target}""} 2`,
      'dapr_resiliency_loaded{app_id="wire",name="policies",namespace=""} 1',
    ]);
    const metadata = JSON.parse((await ask(sidecar, "GET", "/v1.0/metadata")).text);
    assert.deepEqual(metadata.resiliencies, [{ name: "policies" }]);
  });

  it("follows a change, and keeps the last good one when the new one has faults", async () => {
    const good = resiliency(`{timeouts: {quick: ${TIMEOUT_MS}ms}}`, "{timeout: quick}");
    const sidecar = await start(resiliency("{}", "{}"));
    await change(sidecar, good);
    await change(sidecar, good.replace("2000ms", "soon"));
    assert.ok(sidecar.log.some((line) => /resiliency\.yaml.*line 6: spec\.policies\.timeouts\.quick: got/.test(line)));
    server.pause();
    assert.match(errorOf(await ask(sidecar, "GET", `${STORE}/k`)).message, /context deadline exceeded/);
    server.resume();
    await change(sidecar, resiliency("{}", "{}", "other"));
    const metadata = JSON.parse((await ask(sidecar, "GET", "/v1.0/metadata")).text);
    assert.deepEqual(metadata.resiliencies, [{ name: "other" }]);
  });
});

describe("a Resiliency that does not count", () => {
  it("is passed over when it has faults at the start, with file and line, and nothing else is", async () => {
    const broken = resiliency("{circuitBreakers: {cb: {trip: failures > 1, timeout: x}}}", "{}");
    const manifests = { "a.yaml": component("statestore", "state.in-memory"), "r.yaml": broken };
    const wire = await startWire({ manifests });
    try {
      await save(wire, "k", "1");
      const log = wire.log.join("");
      assert.match(log, /r\.yaml:6: spec\.policies\.circuitBreakers\.cb\.timeout: got \\"x\\"/);
      assert.match(log, /r\.yaml:6: spec\.policies\.circuitBreakers\.cb\.trip: .*Unknown variable: failures/);
      const metadata = JSON.parse((await ask(wire, "GET", "/v1.0/metadata")).text);
      assert.equal(metadata.resiliencies, undefined);
    } finally {
      await wire.stop();
    }
  });

  it("is one for other apps or another namespace", async () => {
    const own = resiliency("{}", "{}", "own");
    const wire = await startWire({
      manifests: {
        "a.yaml": component("statestore", "state.in-memory"),
        "b.yaml": `${own.replace("own", "scoped")}scopes: [other]\n`,
        "c.yaml": own.replace("name: own", "name: elsewhere\n  namespace: elsewhere"),
        "d.yaml": `${own}scopes: [wire]\n`,
      },
      settings: { namespace: "here" },
    });
    try {
      const metadata = JSON.parse((await ask(wire, "GET", "/v1.0/metadata")).text);
      assert.deepEqual(metadata.resiliencies, [{ name: "own" }]);
    } finally {
      await wire.stop();
    }
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + WAIT_LIMIT_MS;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `not within ${WAIT_LIMIT_MS} ms: ${holds}`);
    await delay(20);
  }
}
