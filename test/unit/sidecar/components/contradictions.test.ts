// What a Component's core fields ask of a store that cannot do it: said by the judgement, which `pannier check` and the
// operator share, and when the sidecar loads the Component.
import assert from "node:assert/strict";
import { parseComponent } from "#crds/component.ts";
import { describeFault } from "#kit/fault.ts";
import type { ComponentHost } from "#sidecar/components/host.ts";
import { judgeComponent } from "#sidecar/components/judgement.ts";
import { driver as inMemory } from "#sidecar/stores/in-memory/in-memory.ts";
import { type Features, type StoreDriver, storeDriver } from "#sidecar/stores/store.ts";
import { Bench } from "./bench.ts";

type Given = Readonly<Record<string, string | { readonly envRef: string }>>;

async function told(type: string, version: string, given: Given): Promise<readonly string[]> {
  const metadata = Object.entries(given).map(([name, each]) =>
    typeof each === "string" ? { name, value: each } : { name, ...each },
  );
  const { component } = parseComponent({
    apiVersion: "dapr.io/v1alpha1",
    kind: "Component",
    metadata: { name: "c" },
    spec: { type, version, metadata },
  });
  assert.ok(component);
  const { faults } = await judgeComponent(component, { inCluster: false, pluggable: [] });
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

function lacks(what: string): string {
  const why = `this one has ${what}, and every request for the state of an actor fails; see docs/actors.md`;
  return `warning actorStateStore: want a store with ETags and transactions; ${why}`;
}

const MEMCACHED = { hosts: "localhost:11211" };
const BLOBS = { connectionString: "AccountName=a;AccountKey=a2V5", containerName: "state" };
const UUIDS = { connectionString: { envRef: "CONNECTION" }, keyType: "uuid" };

describe("a store that is to keep the state of actors", () => {
  it("is warned about where its settings alone show that it cannot", async () => {
    const actorStateStore = "true";
    const both = lacks("no ETags and no transactions");
    assert.deepEqual(await told("state.memcached", "v1", { ...MEMCACHED, actorStateStore }), [both]);
    assert.deepEqual(await told("state.cassandra", "v1", { hosts: "localhost", ACTORSTATESTORE: "yes" }), [both]);
    const one = lacks("no transactions");
    assert.deepEqual(await told("state.memcached", "v1", { hosts: { envRef: "HOSTS" }, actorStateStore }), [both]);
    assert.deepEqual(await told("state.memcached", "v1", { ...MEMCACHED, etags: "true", actorStateStore }), [one]);
    assert.deepEqual(await told("state.azure.blobstorage", "v2", { ...BLOBS, actorStateStore }), [one]);
    assert.deepEqual(
      await told("state.jetstream", "v1", { natsURL: "nats://localhost:4222", bucket: "b", actorStateStore }),
      [one],
    );
  });

  it("is not warned about where it can, or may, or is not to", async () => {
    assert.deepEqual(await told("state.in-memory", "v1", { actorStateStore: "true" }), []);
    assert.deepEqual(await told("state.mongodb", "v1", { host: "localhost", actorStateStore: "true" }), []);
    assert.deepEqual(await told("state.memcached", "v1", { ...MEMCACHED, actorStateStore: "false" }), []);
    assert.deepEqual(await told("state.memcached", "v1", { ...MEMCACHED, actorStateStore: { envRef: "ACTORS" } }), []);
  });
});

describe("a store whose keys no prefix can stand before", () => {
  const refused = [
    "error keyType: want keyPrefix: none beside it; it takes keys of one form only, and with a prefix before it no key has that form",
  ];

  it("is refused with a prefix, and taken without", async () => {
    for (const version of ["v1", "v2"]) {
      assert.deepEqual(await told("state.sqlserver", version, UUIDS), refused);
      assert.deepEqual(await told("state.sqlserver", version, { ...UUIDS, keyType: "integer" }), refused);
      assert.deepEqual(await told("state.sqlserver", version, { ...UUIDS, keyPrefix: "own" }), refused);
      assert.deepEqual(await told("state.sqlserver", version, { ...UUIDS, keyPrefix: "NONE" }), []);
      assert.deepEqual(await told("state.sqlserver", version, { ...UUIDS, keyType: "string" }), []);
    }
  });

  it("is judged by no stand-in for a prefix that is not known", async () => {
    assert.deepEqual(await told("state.sqlserver", "v1", { ...UUIDS, keyPrefix: { envRef: "PREFIX" } }), []);
  });
});

describe("loading a store that is to keep the state of actors", () => {
  const bench = new Bench();
  beforeEach(() => bench.setUp());
  afterEach(async () => {
    await bench.tearDown();
    bench.lines.length = 0;
  });

  /** Its open stores have these features. */
  function driverOf(features: Partial<Features>, foreseen: readonly (keyof Features)[]): StoreDriver {
    return storeDriver<Record<never, never>>({
      type: "state.test",
      versions: ["v1"],
      defaultVersion: "v1",
      fields: {},
      check: () => [],
      foresee: () => ({ lacks: foreseen, bareKeysBy: null }),
      open: async (_settings, context) => {
        const store = await inMemory.decode([], []).open(context);
        return Object.assign(store, { features: { ...store.features, ...features } });
      },
    });
  }

  const manifest = (actorStateStore: boolean): string =>
    `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: one}\nspec:\n  type: state.test\n  version: v1\n  metadata:\n  - name: actorStateStore\n    value: "${actorStateStore}"\n`;

  async function load(driver: StoreDriver, actorStateStore = true): Promise<ComponentHost> {
    await bench.write("a.yaml", manifest(actorStateStore));
    const host = await bench.start({ loadDriver: () => Promise.resolve(driver) });
    assert.equal(host.size, 1);
    return host;
  }

  function warned(): readonly string[] {
    const lines = bench.lines.map((line): { level: string; msg: string } => JSON.parse(line));
    return lines.filter(({ level }) => level === "warning").map(({ msg }) => msg);
  }

  it("goes on, and warns once where it was foreseen", async () => {
    await load(driverOf({ transactions: false }, ["transactions"]));
    const said = warned();
    assert.equal(said.length, 1, said.join("\n"));
    assert.match(
      said[0] ?? "",
      /a\.yaml:8: .*actorStateStore: want a store with ETags and transactions; .*no transactions,/,
    );
  });

  it("goes on, and warns of what the open store shows", async () => {
    await load(driverOf({ etag: false, transactions: false }, []));
    const why = "this one has no ETags and no transactions, and every request for the state of an actor fails";
    assert.deepEqual(warned(), [
      `Component one (state.test/v1): actorStateStore: want a store with ETags and transactions; ${why}; see docs/actors.md`,
    ]);
  });

  it("warns also when an open store is told to only later", async () => {
    const host = await load(driverOf({ transactions: false }, []), false);
    assert.deepEqual(warned(), []);
    await bench.write("a.yaml", manifest(true));
    await host.reload();
    assert.equal(warned().length, 1);
  });
});
