// examples/kubernetes: what kubectl makes of it is accepted, its Component is without fault, its app counts.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { loadAll } from "js-yaml";
import { ROOT } from "#charts/copies.ts";
import { REFERENCE } from "#image/config.ts";
import { type Bed, describeWithBed, sharedBed } from "#test/cluster/bed.ts";
import { judge } from "#test/docs/judgement.ts";
import { component, startWire } from "#test/wire/sidecar.ts";
import { type KubeManifest, only } from "./rendered.ts";

const FOLDER = `${ROOT}examples/kubernetes`;

describe("the example for Kubernetes", () => {
  it("names the image that `npm run image` makes", () => {
    const objects = loadAll(readFileSync(`${FOLDER}/app.yaml`, "utf8")) as readonly KubeManifest[];
    const [container] = only(objects, "Deployment").spec.template.spec.containers;
    assert.equal(`docker.io/library/${container.image}`, REFERENCE);
  });

  it("has a Component without fault", async () => {
    const { code, report } = await judge(readFileSync(`${FOLDER}/statestore.yaml`, "utf8"));
    assert.deepEqual([code, report], [0, "1 Component in 1 file: 0 errors, 0 warnings\n"]);
  });

  it("counts every visit once, however many come at a time", async () => {
    const wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.in-memory") } });
    const env = { PORT: "0", DAPR_HTTP_PORT: String(wire.sidecar.httpPort) };
    const app = spawn(process.execPath, [`${FOLDER}/app.mjs`], { env, stdio: ["ignore", "pipe", "inherit"] });
    try {
      const url = `http://localhost:${await listening(app)}`;
      const visits = await Promise.all(Array.from({ length: 4 }, async () => (await fetch(url)).text()));
      assert.deepEqual(visits.sort(), ["visit 1\n", "visit 2\n", "visit 3\n", "visit 4\n"]);
      assert.equal((await fetch(`${url}/healthz`)).status, 200);
    } finally {
      app.kill();
      if (app.exitCode === null && app.signalCode === null) await once(app, "exit");
      await wire.stop();
    }
  });
});

/** The port that it says it listens on; rejects when it ends first. */
async function listening(app: ChildProcess): Promise<string> {
  assert.ok(app.stdout !== null);
  let printed = "";
  for await (const chunk of app.stdout) {
    printed += String(chunk);
    const port = /listening on (\d+)\n/.exec(printed)?.[1];
    if (port !== undefined) return port;
  }
  throw new Error(`the app ended: ${printed}`);
}

describeWithBed("the example on a cluster", () => {
  let bed: Bed;

  before(async () => {
    bed = await sharedBed();
  });

  it("is accepted as a whole", async () => {
    const namespace = await bed.namespace();
    const text = await bed.kubectl(["kustomize", FOLDER]);
    const known = (loadAll(text) as readonly KubeManifest[]).filter(({ kind }) => kind !== "Component");
    assert.equal(known.length, 6);
    const items = JSON.stringify({ apiVersion: "v1", kind: "List", items: known });
    const dryRun = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
    const said = await bed.kubectl(dryRun, items.replaceAll('"shop"', JSON.stringify(namespace)));
    assert.match(said, /deployment\.apps\/visits serverside-applied/);
    assert.match(said, /configmap\/visits-\w+ serverside-applied/);
  });
});
