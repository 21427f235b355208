import assert from "node:assert/strict";
import { statePathLabel } from "#sidecar/http/path-label.ts";
import type { Match } from "#sidecar/http/router.ts";
import type { Handler } from "#sidecar/http/server.ts";
import { StoreEntry } from "#sidecar/state/table.ts";
import { driver } from "#sidecar/stores/in-memory/in-memory.ts";
import { PLAIN_CORE } from "#test/unit/sidecar/core.ts";

function matched(pattern: string): Match<Handler> {
  return { route: { name: "x", pattern, api: null, handler: () => undefined }, parameters: [] };
}

describe("the metrics label of a path", () => {
  const one = "/v1.0/state/{storeName}/{key}";
  const entry = new StoreEntry({
    name: "orders",
    type: driver.type,
    version: "v1",
    keyPrefix: "",
    core: PLAIN_CORE,
    store: Object.create(null),
    openedAtMs: 0,
  });
  const label = statePathLabel({
    size: 1,
    find: (name) => (name === "orders" ? entry : undefined),
    all: () => [entry],
  });

  it("names a store that exists, and never the key", () => {
    assert.deepEqual(
      [label(matched(one), ["orders", "k1"]), label(matched("/v1.0/state/{storeName}/bulk"), ["orders"])],
      ["/v1.0/state/orders", "/v1.0/state/orders"],
    );
  });

  it("is one for all names that no store has, and one for all paths without a route", () => {
    const made = ["a", "b", "c"].map((name) => label(matched(one), [name, "k"]));
    assert.deepEqual(new Set(made), new Set(["/v1.0/state/{storeName}"]));
    assert.equal(label(null, []), "unmatched");
  });

  it("is the pattern elsewhere", () => {
    assert.equal(label(matched("/v1.0/metadata/{key}"), ["mine"]), "/v1.0/metadata/{key}");
  });
});
