import assert from "node:assert/strict";
import { configuredPathLabel } from "#sidecar/http/path-label.ts";
import { compilePatterns } from "#sidecar/http/path-patterns.ts";

describe("patterns of paths", () => {
  const find = compilePatterns([
    "/v1.0/state/{store}/{key}",
    "/v1.0/state/orders/{key}",
    "/v1.0/state/",
    "/v1.0/{rest...}",
    "/{$}",
    "/exact",
  ]);
  const cases: [string, string | null][] = [
    ["/v1.0/state/cart/k1", "/v1.0/state/{store}/{key}"],
    ["/v1.0/state/orders/k1?consistency=strong", "/v1.0/state/orders/{key}"],
    ["/v1.0/state/orders", "/v1.0/state/"],
    ["/v1.0/state/a/b/c", "/v1.0/state/"],
    ["/v1.0/metadata", "/v1.0/{rest...}"],
    ["/", "/{$}"],
    ["/exact", "/exact"],
    ["/exact/more", null],
    ["/other", null],
  ];
  for (const [path, wanted] of cases) {
    it(`take ${path} as ${wanted ?? "none of them"}`, () => assert.equal(find(path), wanted));
  }

  it("decide the label before all else, and leave the rest to the cardinality", () => {
    const usual = (): string => "usual";
    const label = (increasedCardinality: boolean, pathMatching: readonly string[], path: string): string =>
      configuredPathLabel(usual, { increasedCardinality, pathMatching })(null, [], path);
    assert.equal(label(true, [], "/a"), "usual");
    assert.equal(label(false, [], "/a"), "");
    assert.equal(label(true, ["/a"], "/a"), "/a");
    assert.equal(label(true, ["/a"], "/b"), "usual");
    assert.equal(label(false, ["/a"], "/b"), "_");
  });
});
