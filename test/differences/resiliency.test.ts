// The rows of docs/differences.md on Resiliency and Configuration.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { never } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import { noMetrics } from "#sidecar/metrics.ts";
import { StorePolicy } from "#sidecar/resiliency/policy.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { ask, errorOf, STORE, save } from "#test/wire/client.ts";
import { component, configuration, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

function resiliency(policies: string, outbound: string, name = "r"): string {
  return `apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {name: ${name}}
spec:
  policies: ${policies}
  targets: {components: {statestore: {outbound: ${outbound}}}}
`;
}

async function scrape(wire: WireSidecar): Promise<string> {
  return (await wire.ask("GET", "/", { port: wire.sidecar.metricsPort ?? 0 })).text;
}

describeWithRedis("differences in resiliency, on Redis", () => {
  let server: RedisServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  afterEach(async () => {
    server.resume();
    await wire.stop();
  });

  async function start(file: string): Promise<void> {
    const redis = component("statestore", "state.redis", { redisHost: `127.0.0.1:${server.port}` });
    wire = await startWire({ manifests: { "a.yaml": redis, "r.yaml": file } });
  }

  it("P1: a conflict is not tried again and opens no circuit", async () => {
    const policies = "{retries: {slow: {duration: 1h}}, circuitBreakers: {cb: {trip: totalFailures >= 1}}}";
    await start(resiliency(policies, "{retry: slow, circuitBreaker: cb}"));
    await save(wire, "p1", "1");
    assert.equal((await ask(wire, "DELETE", `${STORE}/p1`, undefined, { "If-Match": "77" })).status, 409);
    const operations = [{ operation: "delete", request: { key: "p1", etag: "77" } }];
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, { operations })).status, 409);
    assert.equal((await ask(wire, "GET", `${STORE}/p1`)).text, "1");
  });

  it("P2: a write with an ETag is not tried again after a timeout", async () => {
    await start(
      resiliency("{timeouts: {t: 2s}, retries: {r: {duration: 10ms, maxRetries: 5}}}", "{timeout: t, retry: r}"),
    );
    await save(wire, "p2", "1");
    const { etag = "" } = (await ask(wire, "GET", `${STORE}/p2`)).headers;
    server.pause();
    assert.equal((await ask(wire, "POST", STORE, [{ key: "p2", value: 2, etag }])).status, 500);
    assert.match(await scrape(wire), /^dapr_resiliency_activations_total\{.*policy="timeout".*\} 1$/m);
    assert.doesNotMatch(await scrape(wire), /^dapr_resiliency_activations_total\{.*policy="retry"/m);
  });

  it("P4: each item of a bulk save has a timeout of its own, and together they are one request to a circuit", async () => {
    const policies = "{timeouts: {t: 1s}, circuitBreakers: {cb: {trip: totalFailures >= 2}}}";
    await start(resiliency(policies, "{timeout: t, circuitBreaker: cb}"));
    server.pause();
    const items = Array.from({ length: 10 }, (_, value) => ({ key: `p4-${value}`, value }));
    assert.match(errorOf(await ask(wire, "POST", STORE, items)).message, /10 of 10 items failed/);
    assert.match(await scrape(wire), /^dapr_resiliency_activations_total\{.*policy="timeout".*\} 10$/m);
    assert.match(await scrape(wire), /^dapr_resiliency_cb_state\{.*status="closed"\} 1$/m);
  });

  it("P5: a circuit whose policy is as before keeps its state when something else changes", async () => {
    const policies = "{timeouts: {t: 300ms}, circuitBreakers: {cb: {timeout: 1h, trip: totalFailures >= 1}}}";
    const own = resiliency(policies, "{timeout: t, circuitBreaker: cb}");
    await start(own);
    server.pause();
    await ask(wire, "GET", `${STORE}/k`);
    await writeFile(join(wire.folder, "r.yaml"), own.replace("300ms", "200ms"));
    await wire.sidecar.reload();
    assert.match(errorOf(await ask(wire, "GET", `${STORE}/k`)).message, /circuit breaker is open/);
  });
});

describe("differences in resiliency", () => {
  it("P3: constant retries without a number end after 15 minutes", async () => {
    const clock = new ManualClock();
    const spec = {
      policy: "constant",
      durationMs: 5000,
      maxIntervalMs: 0,
      maxRetries: -1,
      hasMatching: false,
    } as const;
    const series = noMetrics.policy({ name: "", namespace: "", policy: "retry", target: "" });
    const retry = { policy: spec, series };
    const policy = new StorePolicy({
      component: "s",
      timeout: null,
      retry,
      breaker: null,
      clock,
      random: systemRandom,
    });
    const call = { signal: new AbortController().signal };
    let asked = 0;
    const outcome = policy.run(call, { retry: true, conditional: false, ending: never }, () => {
      asked++;
      return Promise.reject(new StoreError("unavailable", "down"));
    });
    const rejected = assert.rejects(outcome, /down/);
    await clock.advance(15 * 60_000);
    await rejected;
    assert.equal(asked, 181);
  });

  it("P6: the last good Resiliency stays when its file becomes faulty", async () => {
    const good = resiliency("{timeouts: {t: 5s}}", "{timeout: t}", "good");
    const wire = await startWire({
      manifests: { "a.yaml": component("statestore", "state.in-memory"), "r.yaml": good },
    });
    try {
      await writeFile(join(wire.folder, "r.yaml"), good.replace("5s", "five"));
      await wire.sidecar.reload();
      const metadata = JSON.parse((await ask(wire, "GET", "/v1.0/metadata")).text);
      assert.deepEqual(metadata.resiliencies, [{ name: "good" }]);
    } finally {
      await wire.stop();
    }
  });

  it("P7: a policy that nobody defines draws a warning", async () => {
    const file = resiliency("{timeouts: {general: 5s}}", "{timeout: generel}");
    const wire = await startWire({
      manifests: { "a.yaml": component("statestore", "state.in-memory"), "r.yaml": file },
    });
    await wire.stop();
    assert.ok(wire.log.some((line) => /got \\"generel\\", want a policy .*; did you mean general\?/.test(line)));
  });

  it("P8: each policy's series carry the name of its resource", async () => {
    const manifests = {
      "a.yaml": component("statestore", "state.in-memory"),
      "r1.yaml": resiliency("{timeouts: {t: 5s}}", "{timeout: t, retry: r}", "first"),
      "r2.yaml":
        "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: second}\nspec: {policies: {retries: {r: {}}}}\n",
    };
    const wire = await startWire({ manifests });
    try {
      await save(wire, "k", "1");
      assert.match(await scrape(wire), /^dapr_resiliency_count\{.*name="first".*policy="timeout".*\} 1$/m);
      assert.match(await scrape(wire), /^dapr_resiliency_count\{.*name="second".*policy="retry".*\} 1$/m);
    } finally {
      await wire.stop();
    }
  });

  it("P9: a sampling rate that is no number ends the start", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pannier-rate-"));
    const config = join(folder, "config.yaml");
    const text =
      "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: c}\nspec:\n  tracing:\n    samplingRate: often\n";
    await writeFile(config, text);
    try {
      await assert.rejects(
        startWire({ manifests: {}, settings: { configPaths: [config] } }),
        /config\.yaml:6: spec\.tracing/,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("P10: a Component that is denied is left out under every name of its type and without its version, no other is", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pannier-denied-"));
    const config = join(folder, "config.yaml");
    await writeFile(config, configuration({ components: { deny: ["state.SQLite3/v1", "state.yugabytedb/v2"] } }));
    const versionless = (name: string, type: string): string =>
      component(name, type, { connectionString: "x" }).replace("  version: v1\n", "");
    const manifests = {
      "file.yaml": versionless("file", "state.sqlite"),
      "server.yaml": versionless("server", "state.yugabyte"),
      "statestore.yaml": versionless("statestore", "state.in-memory"),
    };
    try {
      const wire = await startWire({ manifests, settings: { configPaths: [config] } });
      try {
        await save(wire, "k", "1");
        for (const title of ["file (state.sqlite/v1)", "server (state.yugabyte/v2)"])
          assert.ok(
            wire.log.some((line) => line.includes(`Component ${title} is not loaded: components.deny`)),
            title,
          );
        for (const name of ["file", "server"]) {
          const { errorCode } = errorOf(await ask(wire, "GET", `/v1.0/state/${name}/k`));
          assert.equal(errorCode, "ERR_STATE_STORE_NOT_FOUND");
        }
      } finally {
        await wire.stop();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
