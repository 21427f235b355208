import assert from "node:assert/strict";
import type { ResourceObject } from "#operator/components/manifest.ts";
import { followOtherResources, type OtherResources } from "#operator/components/other-resources.ts";
import { ResourceTable } from "#operator/components/resource-table.ts";
import type { Told } from "#operator/kube/events.ts";
import { ObjectCache } from "#operator/kube/object-cache.ts";
import { noOperatorMetrics } from "#operator/metrics.ts";
import { silentLog } from "./silent-log.ts";

describe("Resiliencies and Configurations", () => {
  const cacheOf = (resource: string) =>
    new ObjectCache<ResourceObject>({ resource, parts: [""], log: silentLog, metrics: noOperatorMetrics });
  let resiliencies: ObjectCache<ResourceObject>;
  let configurations: ObjectCache<ResourceObject>;
  let table: ResourceTable;
  let told: Told[];
  let leads: boolean;
  let others: OtherResources;

  beforeEach(() => {
    [resiliencies, configurations] = [cacheOf("resiliencies"), cacheOf("configurations")];
    table = new ResourceTable();
    told = [];
    leads = true;
    configurations.put(objectOf("early", {}));
    const events = { tell: (each: Told) => told.push(each) };
    others = followOtherResources({ resiliencies, configurations, table, events, mayWrite: () => leads });
  });
  afterEach(() => others.end());

  function objectOf(name: string, rest: object, generation = 1): ResourceObject {
    const metadata = { name, namespace: "shop", uid: name, generation, resourceVersion: String(generation) };
    return { metadata, ...rest };
  }

  const inTable = () => [...table.of("shop")].map(({ kind, name, scopes }) => [kind, name, ...scopes]);
  const wrong = { spec: { policies: { timeouts: { slow: "soon" } }, targets: {} }, scopes: ["app"] };

  it("are handed on, those that were there before too", () => {
    resiliencies.put(objectOf("policies", { spec: { policies: {}, targets: {} }, scopes: ["app"] }));
    configurations.put(objectOf("tracing", { spec: { tracing: { samplingRate: "1" } } }));
    assert.deepEqual(inTable(), [
      ["Configuration", "early"],
      ["Resiliency", "policies", "app"],
      ["Configuration", "tracing"],
    ]);
  });

  it("with mistakes that came while this replica did not lead are told when it begins to", () => {
    leads = false;
    resiliencies.put(objectOf("policies", wrong));
    resiliencies.put(objectOf("right", { spec: { policies: {}, targets: {} } }));
    assert.equal(told.length, 0);
    leads = true;
    others.tellAll();
    assert.deepEqual(
      told.map(({ about }) => about.metadata.name),
      ["policies"],
    );
  });

  it("leave when they are gone", () => {
    resiliencies.put(objectOf("policies", {}));
    resiliencies.remove("shop/policies");
    configurations.remove("shop/early");
    assert.deepEqual(inTable(), []);
  });

  it("with mistakes are handed on and told once for each generation", () => {
    resiliencies.put(objectOf("policies", wrong));
    const touched = objectOf("policies", wrong);
    resiliencies.put({ ...touched, metadata: { ...touched.metadata, resourceVersion: "touched" } });
    assert.deepEqual(inTable().at(-1), ["Resiliency", "policies", "app"]);
    assert.deepEqual(
      told.map(({ about, type, reason, note }) => [about.kind, type, reason, /slow.*"soon"/.test(note)]),
      [["Resiliency", "Warning", "Invalid", true]],
    );
    resiliencies.put(objectOf("policies", wrong, 2));
    assert.equal(told.length, 2);
  });

  it("are told about by the leader only", () => {
    leads = false;
    resiliencies.put(objectOf("policies", wrong));
    assert.deepEqual(told, []);
  });
});
