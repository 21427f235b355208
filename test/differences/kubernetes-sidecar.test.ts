// The rows of docs/differences.md on the sidecar in a cluster.
import assert from "node:assert/strict";
import { freePort } from "#test/servers/free-port.ts";
import { resource, secret, store, TestOperator } from "#test/servers/operator.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { until } from "#test/wire/until.ts";

describe("differences of the sidecar in a cluster", () => {
  let operator: TestOperator;
  let stopping: AbortController;
  let starting: Promise<WireSidecar>;

  beforeEach(async () => {
    operator = await TestOperator.make();
    stopping = new AbortController();
  });
  afterEach(async () => {
    stopping.abort(new Error("the test is over"));
    // One that still waits ends with the reason above.
    await starting.then((started) => started.stop()).catch(() => undefined);
    await operator.stop();
  });

  function start(configuration: string | null = null, httpPort = 0): Promise<WireSidecar> {
    const settings = { httpPort, operator: { ...operator.settings, configuration } };
    starting = startWire({ manifests: {}, stopping: stopping.signal, settings });
    return starting;
  }

  const outbound = async (wire: WireSidecar): Promise<number> =>
    (await ask(wire, "GET", "/v1.0/healthz/outbound")).status;

  /** What health says of a sidecar that waits. */
  const waiting = (port: number): Promise<string> =>
    fetch(`http://127.0.0.1:${port}/v1.0/healthz/outbound`).then(
      (answer) => answer.text(),
      () => "",
    );

  it("K50: a start without an operator waits for it, and health says so", async () => {
    const port = await freePort();
    const started = start(null, port);
    await until("it has tried", async () => /waits for the operator at .*cannot be reached/.test(await waiting(port)));
    await operator.listen();
    assert.equal(await outbound(await started), 204);
  });

  it("K51: a Component that cannot be opened at the start leaves the process up, not ready, until it can", async () => {
    operator.put(store("statestore", "state.in-memory"));
    operator.put(store("lost", "state.redis", { redisHost: "127.0.0.1:1" }));
    await operator.listen();
    const wire = await start();
    assert.equal(await outbound(wire), 500);
    await save(wire, "k", "1");
    const told = () => operator.reports.at(-1)?.components.find(({ name }) => name === "lost");
    await until("the operator knows", () => told()?.state === "failed");
    assert.match(told()?.message ?? "", /INIT_COMPONENT_FAILURE/);
    operator.put(store("lost", "state.in-memory"));
    await until("it is ready", async () => (await outbound(wire)) === 204);
    operator.put(store("lost", "state.redis", { redisHost: "127.0.0.1:1" }));
    await until("the failure is told", () => told()?.state === "kept");
    assert.equal(await outbound(wire), 204, "once ready, it stays ready");
  });

  it("K52: a Configuration that is missing is waited for, and one that goes stays in effect", async () => {
    operator.put(store("statestore", "state.in-memory"));
    await operator.listen();
    const port = await freePort();
    const started = start("app", port);
    await until("it says so", async () => /Configuration app \(operator\): there is none/.test(await waiting(port)));
    const denied = [{ name: "state", version: "v1", protocol: "http" }];
    operator.put(resource("Configuration", "app", { api: { denied } }));
    const wire = await started;
    assert.equal((await ask(wire, "GET", `${STORE}/k`)).status, 404);
    operator.remove("Configuration", "app");
    await until("the loss is told", () => wire.log.some((line) => line.includes("the last good Configuration stays")));
    assert.equal((await ask(wire, "GET", `${STORE}/k`)).status, 404);
  });

  it("K53: a secret that is missing is the fault of its Component alone", async () => {
    operator.put(store("statestore", "state.in-memory"));
    const lost = store("lost", "state.sqlite", { connectionString: { secret: "db", key: "path" } });
    operator.put(lost, [{ name: "db", key: "path", problem: "there is no such secret" }]);
    await operator.listen();
    const wire = await start();
    await save(wire, "k", "1");
    const { components } = JSON.parse((await ask(wire, "GET", "/pannier/v1/health")).text);
    assert.match(
      components[0].message,
      /connectionString: want a key "path" of secret "db" of Kubernetes; there is no/,
    );
  });

  it("K54: a changed secret is taken over at once, and a Component whose secret is equal is left alone", async () => {
    const sqlite = store("statestore", "state.sqlite", { connectionString: { secret: "db", key: "path" } });
    operator.put(sqlite, [secret("db", "path", ":memory:")]);
    await operator.listen();
    const wire = await start();
    await save(wire, "k", "1");
    const first = wire.sidecar.stores.find("statestore");
    operator.put(sqlite, [secret("db", "path", ":memory:"), secret("other", "k", "v")]);
    operator.put(store("second", "state.in-memory"));
    await until("the change is there", () => wire.sidecar.stores.find("second") !== undefined);
    assert.equal(wire.sidecar.stores.find("statestore"), first);
    operator.put(sqlite, [secret("db", "path", "file::memory:?cache=private")]);
    await until("it is another store", () => wire.sidecar.stores.find("statestore") !== first);
  });

  it("K55: a changed Configuration or Resiliency takes effect without a restart of the APIs", async () => {
    operator.put(store("statestore", "state.in-memory"));
    operator.put(resource("Configuration", "app", {}));
    await operator.listen();
    const wire = await start("app");
    await save(wire, "k", "1");
    operator.put(resource("Resiliency", "policies", { policies: { timeouts: { general: "5s" } } }));
    const metadata = async () => JSON.parse((await ask(wire, "GET", "/v1.0/metadata")).text);
    await until("it is loaded", async () => (await metadata()).resiliencies?.length === 1);
    operator.put(resource("Configuration", "app", { features: [{ name: "ServerTiming", enabled: true }] }));
    await until("it is on", async () => (await metadata()).enabledFeatures.includes("ServerTiming"));
    assert.equal((await ask(wire, "GET", `${STORE}/k`)).text, "1");
  });
});
