// A sidecar in a cluster, over the wire: an operator of our own on the one side, an app's requests on the other.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import type { OperatorSettings, SidecarSettings } from "#sidecar/settings.ts";
import { makeCertificates } from "#test/servers/certificates.ts";
import { freePort } from "#test/servers/free-port.ts";
import { resource, secret, store, TestOperator } from "#test/servers/operator.ts";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { ask, errorOf, STORE, save } from "./client.ts";
import { startWire, type WireSidecar } from "./sidecar.ts";
import { until } from "./until.ts";

describe("a sidecar in a cluster", () => {
  let operator: TestOperator;
  let stopping: AbortController;
  let wire: WireSidecar | null;
  let starting: Promise<WireSidecar> | null;

  beforeEach(async () => {
    operator = await TestOperator.make();
    stopping = new AbortController();
    wire = null;
    starting = null;
  });
  afterEach(async () => {
    stopping.abort(new Error("the test is over"));
    // One that still waits ends with the reason above.
    await starting?.then((started) => started.stop()).catch(() => undefined);
    await operator.stop();
  });

  /** Begins a start that may wait. */
  function begin(own: Partial<OperatorSettings> = {}, settings: Partial<SidecarSettings> = {}): Promise<WireSidecar> {
    starting = startWire({
      manifests: {},
      stopping: stopping.signal,
      settings: { operator: { ...operator.settings, ...own }, ...settings },
    });
    return starting;
  }

  async function start(
    own: Partial<OperatorSettings> = {},
    settings: Partial<SidecarSettings> = {},
  ): Promise<WireSidecar> {
    await operator.listen();
    wire = await begin(own, settings);
    return wire;
  }

  const textOf = async (of: WireSidecar, key: string): Promise<string> =>
    (await ask(of, "GET", `${STORE}/${key}`)).text;
  const healthOf = async (of: WireSidecar) => JSON.parse((await ask(of, "GET", "/pannier/v1/health")).text);

  it("waits in the open while the operator is away, and serves once it is there", async () => {
    operator.put(store("statestore", "state.in-memory"));
    const [httpPort, publicPort] = [await freePort(), await freePort()];
    const started = begin({}, { httpPort, publicPort });
    const get = (port: number, path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    await until("it listens", () =>
      get(publicPort, "/v1.0/healthz").then(
        () => true,
        () => false,
      ),
    );
    await until("it has tried", async () => /ECONNREFUSED/.test(await (await get(publicPort, "/v1.0/healthz")).text()));
    for (const port of [httpPort, publicPort]) {
      const health = await get(port, "/v1.0/healthz");
      const outbound = await get(port, "/v1.0/healthz/outbound");
      assert.deepEqual([health.status, outbound.status], [500, 500]);
      const body: { errorCode: string; message: string } = JSON.parse(await outbound.text());
      assert.equal(body.errorCode, "ERR_OUTBOUND_HEALTH_NOT_READY");
      assert.match(body.message, /waits for the operator at localhost:\d+ since 20.*: it cannot be reached/);
    }
    const early = await get(httpPort, "/v1.0/state/statestore/k");
    assert.deepEqual([early.status, JSON.parse(await early.text()).errorCode], [503, "ERR_HEALTH_NOT_READY"]);
    await operator.listen();
    const there = await started;
    assert.equal((await get(publicPort, "/v1.0/healthz/outbound")).status, 204);
    await save(there, "k", "1");
    assert.equal(await textOf(there, "k"), "1");
  });

  it("ends a start that waits when it is told to", async () => {
    const started = begin();
    stopping.abort(new Error("enough"));
    await assert.rejects(started, /enough/);
  });

  it("serves nothing before the Configuration that it is given by name, whose denials hold from the first request on", async () => {
    operator.put(store("statestore", "state.in-memory"));
    operator.put(store("other", "state.sqlite", { connectionString: ":memory:" }));
    await operator.listen();
    const httpPort = await freePort();
    const started = begin({ configuration: "app" }, { httpPort });
    const health = () =>
      fetch(`http://127.0.0.1:${httpPort}/v1.0/healthz`).then(
        (answer) => answer.text(),
        () => "",
      );
    await until("it misses it", async () => /Configuration app \(operator\): there is none/.test(await health()));
    operator.put(resource("Configuration", "app", { components: { deny: 1 } }));
    await until("it cannot read it", async () => /components\.deny/.test(await health()));
    operator.put(resource("Configuration", "app", { components: { deny: ["state.sqlite"] } }));
    const there = await started;
    assert.deepEqual(
      [...there.sidecar.stores.all()].map(({ name }) => name),
      ["statestore"],
    );
    operator.put(resource("Configuration", "app", {}));
    await until("the denial is gone", () => there.sidecar.stores.find("other") !== undefined);
    operator.remove("Configuration", "app");
    await until("the loss is told", async () => (await healthOf(there)).files.length === 1);
  });

  it("does not wait for a daprsystem that is not there", async () => {
    const there = await start({ configuration: "daprsystem" });
    assert.equal((await ask(there, "GET", "/v1.0/healthz")).status, 204);
  });

  it("keeps its stores while the operator is away, and compares when it is back", async () => {
    operator.put(store("statestore", "state.in-memory"));
    operator.put(store("second", "state.in-memory"));
    const there = await start();
    await save(there, "k", "1");
    await operator.goAway();
    operator.remove("Component", "second");
    operator.put(store("third", "state.in-memory"));
    await until("it is told", async () => (await healthOf(there)).operator.connected === false);
    assert.equal((await ask(there, "GET", "/pannier/v1/health")).status, 200);
    assert.equal((await ask(there, "GET", "/v1.0/healthz")).status, 204);
    assert.equal(await textOf(there, "k"), "1");
    assert.notEqual(there.sidecar.stores.find("second"), undefined);
    await operator.listen();
    await until("the third is there", () => there.sidecar.stores.find("third") !== undefined);
    await until("the second is gone", () => there.sidecar.stores.find("second") === undefined);
    assert.equal(await textOf(there, "k"), "1", "an equal one keeps its store");
  });

  it("takes nothing of a full set that was cut in the middle of a line", async () => {
    operator.put(store("statestore", "state.in-memory"));
    operator.put(store("second", "state.in-memory"));
    const there = await start();
    await save(there, "k", "1");
    operator.greeting = "half a line";
    operator.cut();
    const changed = store("statestore", "state.in-memory", { keyPrefix: "none" });
    operator.put(changed);
    await until("it was cut twice", () => operator.opened > 2);
    assert.notEqual(there.sidecar.stores.find("second"), undefined);
    assert.equal(there.sidecar.stores.find("statestore")?.keyPrefix, "wire||");
    assert.match((await healthOf(there)).operator.message, /ended the stream|cut/);
    operator.greeting = "everything";
    await until("the change is there", () => there.sidecar.stores.find("statestore")?.keyPrefix === "");
    assert.notEqual(there.sidecar.stores.find("second"), undefined);
  });

  it("begins anew after a line that is no JSON, and passes over a message of a newer operator", async () => {
    operator.put(store("statestore", "state.in-memory"));
    const there = await start();
    await save(there, "k", "1");
    operator.send('{"type":"resource","kind":"Subscription","name":"s"}\n{"type":"news"}\n');
    operator.put(store("second", "state.in-memory"));
    await until("what follows is read", () => there.sidecar.stores.find("second") !== undefined);
    assert.equal(operator.opened, 1);
    operator.send("\u0000 no JSON\n");
    await until("it has come back", () => operator.opened === 2 && operator.connected === 1);
    assert.equal(await textOf(there, "k"), "1");
    assert.ok(there.log.some((line) => line.includes("it sent a line that is no JSON object")));
  });

  it("keeps the last good Component when the new one cannot be read, and says why", async () => {
    operator.put(store("statestore", "state.in-memory"));
    const there = await start();
    await save(there, "k", "1");
    operator.put(resource("Component", "statestore", { type: 5, metadata: "none" }));
    await until("it is told", async () => (await healthOf(there)).components[0].state === "kept");
    const { components } = await healthOf(there);
    assert.match(components[0].message, /^Component statestore \(operator\): spec\.metadata: /);
    assert.equal(await textOf(there, "k"), "1");
    await until("the operator knows", () => operator.reports.at(-1)?.components[0]?.state === "kept");
  });

  it("denies the last good Component too, when the Configuration comes to deny its type", async () => {
    operator.put(store("statestore", "state.in-memory"));
    operator.put(resource("Configuration", "app", {}));
    const there = await start({ configuration: "app" });
    operator.put(resource("Component", "statestore", { type: 5, metadata: "none" }));
    await until("it is told", async () => (await healthOf(there)).components[0].state === "kept");
    operator.put(resource("Configuration", "app", { components: { deny: ["state.in-memory"] } }));
    await until("it is gone", () => there.sidecar.stores.find("statestore") === undefined);
  });

  it("waits for SIGHUP with changes while HotReload is off", async () => {
    operator.put(resource("Configuration", "app", { features: [{ name: "HotReload", enabled: false }] }));
    const there = await start({ configuration: "app" });
    operator.put(store("statestore", "state.in-memory"));
    operator.cut();
    await until("it has a whole set again", () => operator.opened > 1);
    await until("it is connected", () => operator.connected === 1);
    // Several times what a change takes that is followed.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(there.sidecar.stores.find("statestore"), undefined);
    await there.sidecar.reload();
    assert.notEqual(there.sidecar.stores.find("statestore"), undefined);
  });

  it("follows a Resiliency, and keeps it while a newer one cannot be read", async () => {
    operator.put(store("statestore", "state.in-memory"));
    const policies = {
      policies: { timeouts: { general: "5s" } },
      targets: { components: { statestore: { outbound: { timeout: "general" } } } },
    };
    const there = await start();
    const names = async () => JSON.parse((await ask(there, "GET", "/v1.0/metadata")).text).resiliencies;
    operator.put(resource("Resiliency", "policies", policies));
    await until("it is loaded", async () => (await names())?.[0]?.name === "policies");
    operator.put(resource("Resiliency", "policies", { policies: 7 }));
    await until("the mistake is told", async () => (await healthOf(there)).files.length === 1);
    assert.deepEqual(await names(), [{ name: "policies" }]);
    operator.remove("Resiliency", "policies");
    await until("it is gone", async () => (await names()) === undefined);
  });

  it("trusts what the trust bundle holds at each connection, and what DAPR_TRUST_ANCHORS holds besides", async () => {
    operator.put(store("statestore", "state.in-memory"));
    const there = await start();
    const before = operator.certificates;
    operator.certificates = await makeCertificates();
    await before.remove();
    await operator.goAway();
    await operator.listen();
    await until("it does not trust the new one", async () =>
      /not trusted/.test((await healthOf(there)).operator.message),
    );
    await operator.trust(`${before.authority}not a certificate\n${operator.certificates.authority}`);
    await until("it does", async () => (await healthOf(there)).operator.connected);
    await there.stop();
    await operator.trust("");
    starting = null;
    const again = await begin({ trustAnchors: operator.certificates.authority });
    assert.equal((await healthOf(again)).operator.connected, true);
  });

  it("keeps serving when its token is refused, and comes back with the one that is there then", async () => {
    operator.put(store("statestore", "state.in-memory"));
    const there = await start();
    operator.refusal = 401;
    operator.cut();
    await until("it is told", async () =>
      /refuses this pod's token \(401\)/.test((await healthOf(there)).operator.message),
    );
    await save(there, "k", "1");
    await operator.writeToken("token-2\n");
    operator.refusal = null;
    await until("it is back", async () => (await healthOf(there)).operator.connected);
    assert.equal(operator.tokens.at(-1), "Bearer token-2");
    assert.ok(!there.log.some((line) => line.includes("token-1") || line.includes("token-2")));
  });

  it("gives a Component the secrets that came with it, and only a Component whose secret is missing fails", async () => {
    const reference = { connectionString: { secret: "db", key: "path" } };
    operator.put(store("statestore", "state.sqlite", reference), [secret("db", "path", ":memory:")]);
    operator.put(store("lost", "state.sqlite", reference), [
      { name: "db", key: "path", problem: "the secret is gone" },
    ]);
    const named = { ...store("named", "state.sqlite", reference), auth: { secretStore: "vault" } };
    operator.put(named, [secret("db", "path", ":memory:")]);
    operator.put(resource("Component", "vault", { type: "secretstores.kubernetes", version: "v1" }));
    const there = await start();
    await save(there, "k", "1");
    const states = (await healthOf(there)).components.map(({ name, state }: { name: string; state: string }) => [
      name,
      state,
    ]);
    assert.deepEqual(states.sort(), [
      ["lost", "failed"],
      ["named", "ready"],
      ["statestore", "ready"],
      ["vault", "ready"],
    ]);
    const health = await ask(there, "GET", "/v1.0/healthz/outbound");
    assert.equal(health.status, 500);
    assert.match(
      errorOf(health).message,
      /component lost: .*a key "path" of secret "db" of Kubernetes; the secret is gone/,
    );
    operator.put(store("lost", "state.sqlite", reference), [secret("db", "path", ":memory:")]);
    await until("it is ready", async () => (await ask(there, "GET", "/v1.0/healthz/outbound")).status === 204);
  });

  it("shows how it stands to the operator in metadata and metrics", async () => {
    const there = await start();
    const { extended } = JSON.parse((await ask(there, "GET", "/v1.0/metadata")).text);
    assert.match(extended["pannier.operator"], /^connected with localhost:\d+ since 20/);
    const scrape = (await there.ask("GET", "/", { port: there.sidecar.metricsPort ?? 0 })).text;
    assert.match(scrape, /^pannier_operator_connected\{app_id="wire"\} 1$/m);
    assert.match(scrape, /^pannier_operator_last_contact_timestamp_seconds\{app_id="wire"\} \d{10}/m);
  });

  it("reports each Component as it was given, again for each stream, and again when it changes", async () => {
    operator.put(store("statestore", "state.in-memory"));
    const there = await start();
    await until("it reports", () => operator.reports.length === 1);
    const ready = {
      name: "statestore",
      uid: "uid-statestore",
      generation: 1,
      state: "ready",
      reachable: true,
      message: null,
    };
    assert.deepEqual(operator.reports[0], { components: [ready] });
    operator.cut();
    await until("it reports to the next stream", () => operator.reports.length === 2);
    assert.deepEqual(operator.reports[1], operator.reports[0]);
    const unreachable = store("statestore", "state.redis", { redisHost: "127.0.0.1:1" });
    operator.put({ ...unreachable, metadata: { ...unreachable.metadata, generation: 2 } });
    await until("it reports the change", () => operator.reports.at(-1)?.components[0]?.state === "kept");
    const kept = operator.reports.at(-1)?.components[0];
    assert.deepEqual([kept?.generation, kept?.reachable], [2, true]);
    assert.match(kept?.message ?? "", /INIT_COMPONENT_FAILURE/);
    assert.ok(there.log.length > 0);
  });

  it("reports no generation that it has not taken over, however long that waits", async () => {
    operator.put(resource("Configuration", "app", { features: [{ name: "HotReload", enabled: false }] }));
    operator.put(store("statestore", "state.in-memory"));
    const there = await start({ configuration: "app" });
    const reported = () => operator.reports.at(-1)?.components.map(({ state, generation }) => ({ state, generation }));
    await until("it reports", () => operator.reports.length === 1);
    assert.deepEqual(reported(), [{ state: "ready", generation: 1 }]);
    const changed = store("statestore", "state.in-memory", { keyPrefix: "name" });
    operator.put({ ...changed, metadata: { ...changed.metadata, generation: 2 } });
    await until("it reports that something came", () => operator.reports.length === 2);
    assert.deepEqual(reported(), [{ state: "ready", generation: 0 }]);
    await there.sidecar.reload();
    await until("it reports that it is taken over", () => operator.reports.length === 3);
    assert.deepEqual(reported(), [{ state: "ready", generation: 2 }]);
  });

  describeWithRedis("whose Redis gets another password", () => {
    let redis: RedisServer;
    const acl = (password: string): string => `user app on >${password} ~* &* +@all`;

    before(async () => {
      redis = await startRedis({ acl: ["user default off", acl("first-password")] });
    });
    after(() => redis.stop());

    it("takes the new secret without a request that fails, and without a word of it anywhere", async () => {
      const component = store("statestore", "state.redis", {
        redisHost: `127.0.0.1:${redis.port}`,
        redisUsername: "app",
        redisPassword: { secret: "redis", key: "password" },
      });
      operator.put(component, [secret("redis", "password", "first-password")]);
      const there = await start();
      const first = there.sidecar.stores.find("statestore");
      await save(there, "k", "1");
      let running = true;
      const failures: string[] = [];
      let reads = 0;
      const load = (async () => {
        while (running) {
          const answer = await ask(there, "GET", `${STORE}/k`);
          if (answer.status !== 200) failures.push(answer.text);
          reads++;
        }
      })();
      // Both are good for a while, as a careful operator of Redis does it; connections that are signed in stay.
      await setPasswords(redis.port, "first-password", [">second-password"]);
      operator.put(component, [secret("redis", "password", "second-password")]);
      await until("the store is another", () => there.sidecar.stores.find("statestore") !== first);
      const readsThen = reads;
      await setPasswords(redis.port, "second-password", ["<first-password"]);
      await until("it reads on", () => reads > readsThen + 20);
      running = false;
      await load;
      assert.deepEqual(failures, []);
      operator.put(component, [secret("redis", "password", "third-password")]);
      await until("the wrong one is told", async () => (await healthOf(there)).components[0].state === "kept");
      await until("and reported", () => operator.reports.at(-1)?.components[0]?.state === "kept");
      assert.equal(await textOf(there, "k"), "1");
      const told = [...there.log, JSON.stringify(operator.reports), JSON.stringify(await healthOf(there))].join("");
      assert.ok(!/(first|second|third)-password/.test(told));
    });
  });
});

/** Changes the passwords of the user app: `>new` adds one, `<old` takes one away. */
async function setPasswords(port: number, password: string, rules: readonly string[]): Promise<void> {
  const client = new Redis({ port, host: "127.0.0.1", username: "app", password });
  try {
    await client.call("ACL", "SETUSER", "app", ...rules);
  } finally {
    client.disconnect();
  }
}
