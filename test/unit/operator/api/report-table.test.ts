import assert from "node:assert/strict";
import type { ReportedComponent } from "#crds/distribution.ts";
import { type PodReport, ReportTable } from "#operator/api/report-table.ts";

function reported(name: string, state: ReportedComponent["state"] = "ready"): ReportedComponent {
  return { name, uid: "u", generation: 1, state, reachable: true, message: null };
}

function podReport(podUid: string, ...components: readonly ReportedComponent[]): PodReport {
  return { namespace: "shop", podName: `pod-${podUid}`, podUid, appId: "cart", components };
}

describe("table of reports", () => {
  let table: ReportTable;
  let told: string[];

  beforeEach(() => {
    table = new ReportTable();
    told = [];
    table.onChange((namespace, component) => told.push(`${namespace}/${component}`));
  });

  it("gives what all pods say of a Component, and no other namespace's", () => {
    table.put(podReport("1", reported("orders"), reported("carts")));
    table.put(podReport("2", reported("orders", "failed")));
    const states = table.of("shop", "orders").map(({ podUid, state }) => `${podUid} ${state}`);
    assert.deepEqual(states, ["1 ready", "2 failed"]);
    assert.deepEqual(table.of("bank", "orders"), []);
  });

  it("tells only the Components of which a report changed", () => {
    table.put(podReport("1", reported("orders"), reported("carts")));
    table.put(podReport("1", reported("orders"), reported("carts", "kept")));
    table.put(podReport("1", reported("carts", "kept")));
    table.remove("1");
    assert.deepEqual(told, ["shop/orders", "shop/carts", "shop/carts", "shop/orders", "shop/carts"]);
  });

  it("keeps a pod's report that another replica has told of since", () => {
    table.put(podReport("1", reported("orders")), "follower");
    table.remove("1");
    assert.equal(table.of("shop", "orders").length, 1);
    table.put(podReport("1", reported("orders", "kept")));
    table.remove("1", "follower");
    assert.equal(table.of("shop", "orders")[0]?.state, "kept");
    table.remove("1");
    assert.deepEqual(table.of("shop", "orders"), []);
    assert.equal(table.sourceOf("1"), undefined);
  });
});
