// The operator's distribution API and the sidecar's link to it, with nothing in between but TLS.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TOKEN_FILE } from "#crds/distribution.ts";
import { systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { OperatorLink } from "#sidecar/components/operator-link.ts";
import { until } from "#test/wire/until.ts";
import { Bench, entry, makeTrust, type Trust } from "./bench.ts";

describe("the sidecar's link to the operator's distribution API", () => {
  let trust: Trust;
  let folder: string;
  let bench: Bench;
  let link: OperatorLink;

  before(async () => {
    trust = await makeTrust();
    folder = await mkdtemp(join(tmpdir(), "pannier-identity-"));
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await trust.certificates.remove();
  });
  beforeEach(async () => {
    bench = await new Bench({ trust }).start();
    await writeFile(join(folder, TOKEN_FILE), bench.cluster.token(bench.cluster.put()));
    const about = { level: "debug", json: true, appId: "cart", instance: "", version: "" } as const;
    link = new OperatorLink({
      settings: {
        host: "localhost",
        port: bench.port,
        identityFolder: folder,
        trustAnchors: trust.certificates.authority,
        configuration: null,
      },
      clock: systemClock,
      random: systemRandom,
      log: createLog({ ...about, write: () => undefined, nowMs: () => 0 }),
    });
  });
  afterEach(async () => {
    await link.close();
    await bench.close();
  });

  function names(): readonly string[] {
    return link.all("Component").map(({ name }) => name);
  }

  it("brings the full set, changes, and reports back", async () => {
    bench.resources.set(entry("orders"));
    link.start();
    await link.firstSet();
    assert.deepEqual(names(), ["orders"]);
    bench.resources.set(entry("carts"));
    bench.resources.remove("Component", "shop", "orders");
    await until("both changes are there", () => names().join() === "carts");
    const ready = { name: "carts", uid: "u", generation: 1, state: "ready", reachable: true, message: null };
    await link.report(JSON.stringify({ components: [ready] }), new AbortController().signal);
    assert.equal(bench.reports.of("shop", "carts")[0]?.podName, "cart-1");
  });

  it("loses nothing when the stream is ended, and lets go of what went meanwhile", async () => {
    for (const name of ["orders", "carts"]) bench.resources.set(entry(name));
    link.start();
    await link.firstSet();
    // The pod is another app by now.
    bench.cluster.put({ annotations: { "dapr.io/app-id": "till" } });
    await until("it is disconnected", () => !link.status().connected);
    assert.deepEqual(names(), ["carts", "orders"]);
    bench.resources.set(entry("orders", { scopes: ["cart"] }));
    await until("it is connected again", () => link.status().connected);
    assert.deepEqual(names(), ["carts"]);
  });

  it("says so when the token is refused", async () => {
    await writeFile(join(folder, TOKEN_FILE), "not.known.here");
    link.start();
    await until("the refusal is known", () => /refuses this pod's token/.test(link.status().problem ?? ""));
  });
});
