import assert from "node:assert/strict";
import { utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { freePort } from "#test/servers/free-port.ts";
import { Bench, eventually, type Pannier, signalledWhenLoading } from "./pannier.ts";

const MANIFEST = `apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: statestore
spec:
  type: state.in-memory
  version: v1
`;
const BROKEN = MANIFEST.replace("state.in-memory", "state.no-such-store");

/** Writes a manifest whose times are always the same. */
async function writeManifest(path: string, name: string): Promise<void> {
  await writeFile(path, MANIFEST.replace("statestore", name));
  await utimes(path, 0, 0);
}

describe("pannier sidecar", () => {
  const bench = new Bench();
  let cwd: string;
  let port: number;
  let grpcPort: number;

  beforeEach(async () => {
    cwd = await bench.folder();
    port = await freePort();
    grpcPort = await freePort();
    await writeFile(join(cwd, "statestore.yaml"), MANIFEST);
  });
  afterEach(() => bench.clear());

  function start(argv: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Pannier {
    const own = ["--app-id=orders", "--enable-metrics=false", "--resources-path", "."];
    const ports = [`--dapr-http-port=${port}`, `--dapr-grpc-port=${grpcPort}`, "-dapr-listen-addresses", "127.0.0.1"];
    return bench.start(["sidecar", ...own, ...ports, ...argv], { cwd, env });
  }

  const state = (path = ""): string => `http://127.0.0.1:${port}/v1.0/state/statestore${path}`;

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`serves with an empty environment and ends on ${signal} with 0`, async () => {
      const sidecar = start();
      await sidecar.says(/dapr initialized/);
      const saved = await fetch(state(), { method: "POST", body: '[{"key":"k","value":1}]' });
      assert.equal(saved.status, 204);
      assert.equal(await (await fetch(state("/k"))).text(), "1");
      sidecar.signal(signal);
      assert.equal(await sidecar.ended, 0);
      assert.equal(sidecar.err, "");
    });
  }

  it("logs whole lines with Dapr's field names to stdout", async () => {
    const sidecar = start(["--log-as-json"]);
    await sidecar.says(/dapr initialized.*\n/);
    sidecar.signal("SIGTERM");
    await sidecar.ended;
    const lines = sidecar.out.trimEnd().split("\n");
    for (const line of lines) {
      const fields = JSON.parse(line);
      assert.equal(fields.app_id, "orders");
      for (const name of ["instance", "level", "msg", "scope", "time", "type", "ver"]) assert.ok(name in fields, line);
    }
  });

  it("names flags without effect once", async () => {
    const sidecar = start(["--placement-host-address=here:50005", "--enable-mtls=false", "--enable-profiling"]);
    await sidecar.says(/dapr initialized/);
    assert.equal(sidecar.out.match(/--placement-host-address --enable-profiling/g)?.length, 1);
    assert.doesNotMatch(sidecar.out, /enable-mtls/);
  });

  it("ends with 1 and a fatal line that names the port when it is taken", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
    const sidecar = start();
    assert.equal(await sidecar.ended, 1);
    assert.match(sidecar.out, new RegExp(`level=fatal msg="[^"]*${port}`));
    await new Promise((resolve) => other.close(resolve));
  });

  it("ends with 1 and a fatal line when a Component cannot be opened", async () => {
    await writeFile(join(cwd, "statestore.yaml"), BROKEN);
    const sidecar = start();
    assert.equal(await sidecar.ended, 1);
    assert.match(sidecar.out, /level=fatal msg=.*_COMPONENT_FAILURE.*no-such-store/);
  });

  it("ends with 2 for an unknown flag, without a word on stdout", async () => {
    const sidecar = start(["--enable-metric"]);
    assert.equal(await sidecar.ended, 2);
    assert.equal(sidecar.out, "");
    assert.match(sidecar.err, /did you mean --enable-metrics\?/);
  });

  it("reloads on SIGHUP in the same process, also what the files' sizes and times do not show", async () => {
    const path = join(cwd, "second.yaml");
    await writeManifest(path, "one");
    const sidecar = start(["--hot-reload-reconcile-interval=1h"]);
    await sidecar.says(/dapr initialized/);
    await fetch(state(), { method: "POST", body: '[{"key":"k","value":1}]' });
    await writeManifest(path, "two");
    sidecar.signal("SIGHUP");
    const two = `http://127.0.0.1:${port}/v1.0/state/two/k`;
    await eventually("the store under its new name", async () => (await fetch(two)).status === 204);
    assert.equal(await (await fetch(state("/k"))).text(), "1");
    sidecar.signal("SIGTERM");
    assert.equal(await sidecar.ended, 0);
  });

  for (const file of ["/cli/dispatch.ts", "/cli/sidecar.ts", "/sidecar/sidecar.ts"]) {
    it(`outlives a SIGHUP while it loads ${file}`, async () => {
      const sidecar = start([], signalledWhenLoading(file, "SIGHUP"));
      await sidecar.says(/dapr initialized/);
      sidecar.signal("SIGTERM");
      assert.equal(await sidecar.ended, 0);
    });

    it(`ends with 0 on a SIGTERM while it loads ${file}`, async () => {
      const sidecar = start([], signalledWhenLoading(file, "SIGTERM"));
      assert.equal(await sidecar.ended, 0);
      assert.doesNotMatch(sidecar.out, /dapr initialized/);
    });
  }

  it("reads again after the start what a SIGHUP during the start asked for", async () => {
    const path = join(cwd, "second.yaml");
    await writeManifest(path, "one");
    // A store that starts a thread: the start goes on for a while after the signal.
    const field = "  metadata: [{name: connectionString, value: ':memory:'}]\n";
    const slow = MANIFEST.replace("name: statestore", "name: slow").replace("in-memory", "sqlite") + field;
    await writeFile(join(cwd, "slow.yaml"), slow);
    // The driver is loaded once the manifests are read.
    const change = `const text = fs.readFileSync("second.yaml", "utf8").replace("name: one", "name: two");
      fs.writeFileSync("second.yaml", text); fs.utimesSync("second.yaml", 0, 0);`;
    const env = signalledWhenLoading("/in-memory.ts", "SIGHUP", change);
    const sidecar = start(["--hot-reload-reconcile-interval=1h"], env);
    await sidecar.says(/dapr initialized/);
    const two = `http://127.0.0.1:${port}/v1.0/state/two/k`;
    await eventually("the store under its new name", async () => (await fetch(two)).status === 204);
  });

  it("says which Node it wants under one that is too old, before it loads anything", async () => {
    const hook = `const versions = { ...process.versions, node: "20.20.2" };
      Object.defineProperty(process, "versions", { value: versions });`;
    const env = { NODE_OPTIONS: `--import="data:text/javascript,${encodeURIComponent(hook)}"` };
    const sidecar = start([], env);
    assert.equal(await sidecar.ended, 1);
    assert.equal(sidecar.err, "pannier: got Node 20.20.2, want 24 or newer\n");
    assert.equal(sidecar.out, "");
  });

  it("is ended by a signal while it waits for another sidecar", async () => {
    const env = signalledWhenLoading("/cli/dispatch.ts", "SIGTERM");
    const held = bench.start(["sidecar", "--wait", `--dapr-http-port=${port}`], { cwd, env });
    assert.equal(await held.ended, "SIGTERM");
  });

  it("ends with 0 when a client asks for it over the API", async () => {
    const sidecar = start();
    await sidecar.says(/dapr initialized/);
    const answer = await fetch(`http://127.0.0.1:${port}/v1.0/shutdown`, { method: "POST" });
    assert.equal(answer.status, 204);
    assert.equal(await sidecar.ended, 0);
  });

  it("ends at once with 1 on a second signal while it waits", async () => {
    const sidecar = start(["--dapr-block-shutdown-duration=1h"]);
    await sidecar.says(/dapr initialized/);
    sidecar.signal("SIGTERM");
    sidecar.signal("SIGINT");
    assert.equal(await sidecar.ended, 1);
  });

  it("waits for another sidecar with --wait", async () => {
    const waiting = bench.start(["sidecar", "--wait", `--dapr-http-port=${port}`], { cwd, env: {} });
    const sidecar = start();
    assert.equal(await waiting.ended, 0);
    await sidecar.says(/dapr initialized/);
  });
});
