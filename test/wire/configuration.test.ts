// Configuration over HTTP: which APIs are open, which Components are denied, what the metrics hold, and its changes.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, errorOf, STORE, save } from "./client.ts";
import { component, startWire, type WireOptions, type WireSidecar } from "./sidecar.ts";

describe("a sidecar with a Configuration", () => {
  let folder: string;
  let wire: WireSidecar | null = null;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-configured-"));
  });
  afterEach(async () => {
    await wire?.stop();
    wire = null;
    await rm(folder, { recursive: true });
  });

  const file = (): string => join(folder, "config.yaml");

  async function configure(spec: string): Promise<void> {
    const head = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  name: appconfig\nspec:\n";
    await writeFile(file(), head + spec);
  }

  async function start(spec: string, more: Partial<WireOptions> = {}): Promise<WireSidecar> {
    await configure(spec);
    wire = await startWire({
      manifests: { "a.yaml": component("statestore", "state.in-memory") },
      ...more,
      settings: { ...more.settings, configPaths: [file()] },
    });
    return wire;
  }

  const scrape = async (of: WireSidecar): Promise<string> =>
    (await of.ask("GET", "/", { port: of.sidecar.metricsPort ?? 0 })).text;

  it("answers 404 on every route of an API that is not allowed, and health always", async () => {
    const sidecar = await start("  api: {allowed: [{name: state, version: v1, protocol: http}]}\n");
    await save(sidecar, "k", "1");
    for (const path of ["/v1.0/metadata", "/pannier/v1/health", "/v1.0/actors/a/b/state/k"]) {
      const answer = await ask(sidecar, "GET", path);
      assert.deepEqual([answer.status, errorOf(answer).errorCode], [404, "ERR_DIRECT_INVOKE"], path);
    }
    for (const path of ["/v1.0/healthz", "/v1.0/healthz/outbound"])
      assert.equal((await ask(sidecar, "GET", path)).status, 204, path);
  });

  it("opens Pannier's own routes by the name pannier", async () => {
    const sidecar = await start(
      "  api: {allowed: [{name: state, version: v1, protocol: http}, {name: pannier, version: v1, protocol: http}]}\n",
    );
    assert.equal((await ask(sidecar, "GET", "/pannier/v1/health")).status, 200);
  });

  it("closes what is denied while it runs, at SIGHUP", async () => {
    const sidecar = await start("  {}\n");
    await save(sidecar, "k", "1");
    await configure("  api: {denied: [{name: state, version: v1.0, protocol: http}]}\n");
    await sidecar.sidecar.reload();
    assert.equal((await ask(sidecar, "GET", `${STORE}/k`)).status, 404);
    assert.equal((await ask(sidecar, "GET", "/pannier/v1/state/statestore")).status, 404);
    assert.equal((await ask(sidecar, "GET", "/v1.0/metadata")).status, 200);
    await configure("  {}\n");
    await sidecar.sidecar.reload();
    assert.equal((await ask(sidecar, "GET", `${STORE}/k`)).text, "1");
  });

  it("closes what is denied in any spelling, and warns of a rule that matches nothing, at the start and at a reload", async () => {
    const denied = (name: string): string => `  api: {denied: [{name: ${name}, version: V1, protocol: HTTP}]}\n`;
    const sidecar = await start(denied("State"));
    assert.equal((await ask(sidecar, "GET", `${STORE}/k`)).status, 404);
    assert.ok(!sidecar.log.some((line) => line.includes("matches nothing")));
    for (const name of ["Stat", "Metdata"]) {
      await configure(denied(name));
      await sidecar.sidecar.reload();
      const told = `config.yaml:6: spec.api.denied[0].name: got \\"${name}\\", want the name of an API`;
      assert.ok(
        sidecar.log.some((line) => line.includes(told)),
        told,
      );
    }
    assert.equal((await ask(sidecar, "GET", `${STORE}/k`)).status, 204);
    await sidecar.stop();
    const again = await start(denied("Stat"));
    assert.ok(again.log.some((line) => /the rule matches nothing; did you mean state\?/.test(line)));
  });

  it("loads no Component of a denied type, and says why", async () => {
    const sidecar = await start("  components: {deny: [state.in-memory/v1]}\n", {
      manifests: {
        "a.yaml": component("statestore", "state.in-memory"),
        "b.yaml": component("kept", "state.sqlite", { connectionString: join(folder, "kept.db") }),
      },
    });
    assert.equal(errorOf(await ask(sidecar, "GET", `${STORE}/k`)).errorCode, "ERR_STATE_STORE_NOT_FOUND");
    assert.ok(
      sidecar.log.some((line) =>
        line.includes("Component statestore (state.in-memory/v1) is not loaded: components.deny"),
      ),
    );
    assert.equal((await ask(sidecar, "GET", "/pannier/v1/health")).status, 200);
    await configure("  components: {deny: [state.SQLite3/V0]}\n");
    await sidecar.sidecar.reload();
    await save(sidecar, "k", "1");
    assert.equal(errorOf(await ask(sidecar, "GET", "/v1.0/state/kept/k")).errorCode, "ERR_STATE_STORE_NOT_FOUND");
  });

  it("serves no metrics when they are turned off", async () => {
    const sidecar = await start("  metrics: {enabled: false}\n");
    assert.equal(sidecar.sidecar.metricsPort, null);
  });

  it("counts error codes when it is asked to", async () => {
    const sidecar = await start("  metrics: {recordErrorCodes: true}\n");
    await ask(sidecar, "GET", "/v1.0/state/none/k");
    await ask(sidecar, "POST", STORE, "[");
    await ask(sidecar, "GET", "/nowhere");
    const text = await scrape(sidecar);
    for (const [category, code] of [
      ["state", "ERR_STATE_STORE_NOT_FOUND"],
      ["common", "ERR_MALFORMED_REQUEST"],
      ["service-invocation", "ERR_DIRECT_INVOKE"],
    ]) {
      const line = `dapr_error_code_total{app_id="wire",category="${category}",error_code="${code}"} 1`;
      assert.ok(text.includes(line), `${line} in\n${text}`);
    }
  });

  it("has the buckets that it names, and neither path nor method where it says so", async () => {
    const sidecar = await start(
      "  metrics: {latencyDistributionBuckets: [5, 500], http: {increasedCardinality: false, excludeVerbs: true}}\n",
    );
    await save(sidecar, "k", "1");
    const text = await scrape(sidecar);
    const bounds = [...text.matchAll(/^dapr_component_state_latencies_bucket\{.*le="([^"]+)"/gm)].map(
      (match) => match[1],
    );
    assert.deepEqual(bounds, ["5", "500", "+Inf"]);
    assert.ok(text.includes('dapr_http_server_request_count{app_id="wire",method="",path="",status="204"} 1'), text);
    assert.ok(!text.includes("dapr_http_server_response_count"));
  });

  it("labels paths by its patterns", async () => {
    const sidecar = await start("  metrics: {http: {pathMatching: ['/v1.0/state/{store}/{key}']}}\n");
    await save(sidecar, "k", "1");
    await ask(sidecar, "GET", `${STORE}/k?consistency=strong`);
    const text = await scrape(sidecar);
    assert.match(text, /^dapr_http_server_request_count\{.*method="GET",path="\/v1\.0\/state\/\{store\}\/\{key\}"/m);
    assert.match(text, /^dapr_http_server_request_count\{.*method="POST",path="\/v1\.0\/state\/statestore"/m);
  });

  it("logs calls when it says so and the flag says nothing, without health where it is to be left out", async () => {
    const spec = "  logging: {apiLogging: {enabled: true, omitHealthChecks: true}}\n";
    const sidecar = await start(spec, { settings: { apiLogging: null } });
    await ask(sidecar, "GET", "/v1.0/healthz");
    await ask(sidecar, "GET", `${STORE}/k`);
    const calls = sidecar.log.filter((line) => line.includes("HTTP API Called"));
    assert.deepEqual([calls.length, calls[0]?.includes("/v1.0/state/{storeName}/{key}")], [1, true]);
    await sidecar.stop();
    const quiet = await start(spec, { settings: { apiLogging: false } });
    await ask(quiet, "GET", `${STORE}/k`);
    assert.ok(!quiet.log.some((line) => line.includes("HTTP API Called")));
  });

  it("tells the features that are on, and follows no file without HotReload but at SIGHUP", async () => {
    const sidecar = await start(
      "  features: [{name: HotReload, enabled: false}, {name: ActorStateTTL, enabled: true}]\n",
    );
    const features = JSON.parse((await ask(sidecar, "GET", "/v1.0/metadata")).text).enabledFeatures;
    assert.deepEqual(features, ["ActorStateTTL"]);
    await writeFile(join(sidecar.folder, "b.yaml"), component("added", "state.in-memory"));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(sidecar.sidecar.stores.find("added"), undefined);
    await sidecar.sidecar.reload();
    assert.ok(sidecar.sidecar.stores.find("added") !== undefined);
  });

  it("shows a file that cannot be used in health and metadata, and goes on by the last good one", async () => {
    const sidecar = await start("  api: {denied: [{name: shutdown, version: v1, protocol: http}]}\n");
    await writeFile(file(), "spec: [");
    await sidecar.sidecar.reload();
    assert.equal((await ask(sidecar, "POST", "/v1.0/shutdown")).status, 404);
    const health = await ask(sidecar, "GET", "/pannier/v1/health");
    assert.equal(health.status, 503);
    assert.match(health.text, /config\.yaml:1: want YAML that can be read.*the last good Configuration stays/);
  });

  it("does not start with a file that is missing or wrong", async () => {
    await assert.rejects(
      start("  api: {allowed: state}\n"),
      /config\.yaml:6: spec\.api\.allowed: .*want a list of rules/,
    );
    await assert.rejects(
      startWire({ manifests: {}, settings: { configPaths: [join(folder, "none.yaml")] } }),
      /none\.yaml" cannot be read \(ENOENT\)/,
    );
  });
});
