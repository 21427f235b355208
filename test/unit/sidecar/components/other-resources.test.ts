// What the component host does about manifests besides those of Components, and about Components that are denied.
import assert from "node:assert/strict";
import { documentIdentity, parseComponent } from "#crds/component.ts";
import { type ComponentDenial, parseConfiguration } from "#crds/configuration.ts";
import { readManifest } from "#crds/manifest.ts";
import { chooseDriver, meantVersion } from "#sidecar/components/component-type.ts";
import type { ComponentHost } from "#sidecar/components/host.ts";
import { planComponents } from "#sidecar/components/plan.ts";
import { firstVersionOf, loadDriver, STORE_TYPE_NAMES, typeOf } from "#sidecar/stores/registry.ts";
import { Bench, inMemoryManifest, manifest, states } from "./bench.ts";

function resiliency(name: string, timeout = "5s"): string {
  return `apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: ${name}}\nspec: {policies: {timeouts: {t: ${timeout}}}}\n`;
}

/** `components.deny` of a Configuration with one item. */
function readDenied(item: string): readonly ComponentDenial[] {
  const { configuration, faults } = parseConfiguration({
    apiVersion: "dapr.io/v1alpha1",
    kind: "Configuration",
    metadata: { name: "c" },
    spec: { components: { deny: [item] } },
  });
  assert.deepEqual(faults, []);
  return configuration?.denied ?? [];
}

/** Whether a Component of the type and version is planned beside the denial. */
function isLeft(type: string, version: string, denial: ComponentDenial | undefined): boolean {
  assert.ok(denial);
  const { documents } = readManifest(
    `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: one}\nspec: {type: ${type}, version: "${version}"}\n`,
  );
  const [document] = documents;
  assert.ok(document);
  const { component, draft } = { ...parseComponent(document.value) };
  const identity = documentIdentity(document.value);
  const nothing = { resiliency: null, faults: [], note: null, brought: null };
  const located = { file: "a.yaml", document, identity, component, draft, ...nothing };
  const scope = { appId: "app", namespace: "", held: new Set<string>(), problems: [], inEffect: [] };
  return planComponents([located], { ...scope, denied: [denial] }).stores.length === 1;
}

describe("the component host and other resources", () => {
  let bench: Bench;
  let denied: readonly ComponentDenial[];
  /** Each set of Resiliencies that was told: name and timeout. */
  let told: string[][];

  beforeEach(async () => {
    bench = new Bench();
    denied = [];
    told = [];
    await bench.setUp();
  });
  afterEach(() => bench.tearDown());

  function start(): Promise<ComponentHost> {
    return bench.start({
      denied: () => denied,
      onResiliencies: async (all) => void told.push(all.map(({ name, timeouts }) => `${name} ${timeouts.get("t")}`)),
    });
  }

  it("hands on the Resiliencies of all files, in their order", async () => {
    await bench.write("b.yaml", resiliency("two", "2s"));
    await bench.write("a.yaml", `${resiliency("one")}---\n${inMemoryManifest("store")}`);
    const host = await start();
    assert.deepEqual([told, states(host)], [[["one 5000", "two 2000"]], ["store ready"]]);
  });

  it("keeps the last good Resiliency of a file that has become faulty", async () => {
    await bench.write("a.yaml", resiliency("one"));
    const host = await start();
    await bench.write("a.yaml", resiliency("one", "soon"));
    await host.reload();
    assert.deepEqual(told.at(-1), ["one 5000"]);
    assert.match(host.fileProblems()[0]?.problem ?? "", /spec\.policies\.timeouts\.t: got "soon"/);
    await bench.write("a.yaml", resiliency("one", "7s"));
    await host.reload();
    assert.deepEqual(told.at(-1), ["one 7000"]);
  });

  it("keeps a Resiliency that was moved into a file with a mistake, until that is mended", async () => {
    await bench.write("a.yaml", resiliency("one"));
    await bench.write("b.yaml", inMemoryManifest("store"));
    const host = await start();
    await bench.write("a.yaml", "# moved\n");
    await bench.write("b.yaml", `${inMemoryManifest("store")}---\n${resiliency("one", "soon")}`);
    await host.reload();
    assert.deepEqual(told.at(-1), ["one 5000"]);
    await bench.write("b.yaml", inMemoryManifest("store"));
    await host.reload();
    assert.deepEqual(told.at(-1), []);
  });

  it("does not take a faulty Resiliency for the Component of its name", async () => {
    await bench.write("a.yaml", inMemoryManifest("same"));
    await bench.write("b.yaml", resiliency("same"));
    const host = await start();
    await bench.write("b.yaml", resiliency("same", "soon"));
    await host.reload();
    assert.deepEqual(states(host), ["same ready"]);
  });

  it("leaves out what is denied, by type or version, when it decides anew", async () => {
    await bench.write("a.yaml", `${inMemoryManifest("memory")}---\n${manifest("test", "x")}`);
    const host = await start();
    denied = [
      { type: "state.in-memory", version: null },
      { type: "state.test", version: "v2" },
    ];
    host.reconsider();
    await host.reload();
    assert.deepEqual(states(host), ["test ready"]);
    assert.ok(bench.logged(/Component memory \(state\.in-memory\/v1\) is not loaded: components\.deny/));
    denied = [];
    await host.reload();
    assert.deepEqual(states(host).sort(), ["memory ready", "test ready"]);
  });

  const INITIAL = ["", "v0", "v1", "V1"];
  const SPELLINGS = [
    ["state.in-memory", "state.In-Memory"],
    ["state.postgres", "state.postgresql"],
    ["state.postgresql", "state.postgres"],
    ["state.redis", "State.Redis"],
    ["state.sqlite", "state.SQLite3"],
    ["state.sqlite3", "state.sqlite"],
  ] as const;
  for (const [given, type] of SPELLINGS)
    for (const version of [null, ...INITIAL.slice(1)])
      it(`leaves out ${given} in its first version when ${type}/${version ?? "*"} is denied`, () => {
        const [denial] = readDenied(version === null ? type : `${type}/${version}`);
        assert.deepEqual(
          INITIAL.filter((each) => isLeft(given, each, denial)),
          [],
        );
        // PostgreSQL has a second one.
        assert.equal(isLeft(given, "V2", denial), version !== null);
      });

  it("leaves out a later version, in any case, and no other, when that one is denied", () => {
    const [denial] = readDenied("state.Postgres/V2");
    assert.deepEqual(
      ["", "v0", "v1", "v2", "V2"].filter((each) => isLeft("state.postgresql", each, denial)),
      ["", "v0", "v1"],
    );
  });

  for (const type of STORE_TYPE_NAMES)
    it(`means by each version of ${type} the one that its driver is chosen for`, async () => {
      const driver = await loadDriver(type);
      assert.equal(firstVersionOf(type), driver?.defaultVersion);
      const served = new Set<string>();
      for (const version of ["", "v0", "v1", "v2", "V1", "V2"]) {
        const chosen = await chooseDriver(type, version, loadDriver);
        // Not all types have all of them.
        if ("fault" in chosen) continue;
        assert.equal(meantVersion(type, version), chosen.version);
        served.add(version);
      }
      assert.ok(served.has("") && served.size > 1, [...served].join());
    });

  for (const type of STORE_TYPE_NAMES)
    it(`leaves out ${type} without a version when the version that this means is denied, and at no other`, () => {
      const meant = firstVersionOf(type);
      const other = meant === "v1" ? "v2" : "v1";
      for (const named of STORE_TYPE_NAMES.filter((each) => typeOf(each) === typeOf(type))) {
        assert.equal(isLeft(type, "", readDenied(`${named}/${meant}`)[0]), false);
        assert.equal(isLeft(type, "", readDenied(`${named}/${other}`)[0]), true);
      }
    });

  it("leaves out what is denied although a file that cannot be read may hold it", async () => {
    await bench.write("a.yaml", inMemoryManifest("memory"));
    const host = await start();
    await bench.write("b.yaml", "kind: Component\nmetadata:\n  name: memory\nspec: [\n");
    denied = [{ type: "state.in-memory", version: "v1" }];
    await host.reload();
    assert.deepEqual(states(host), []);
  });
});
