import assert from "node:assert/strict";
import type { ApiRule } from "#crds/api-rules.ts";
import { type ApiGroup, apiAccess } from "#sidecar/configuration/api-access.ts";

const GROUPS: readonly ApiGroup[] = [
  "state/v1.0",
  "state/v1.0-alpha1",
  "actors/v1.0",
  "metadata/v1.0",
  "shutdown/v1.0",
  "pannier/v1",
];

const rule = (name: string, version: string, protocol: ApiRule["protocol"] = "http"): ApiRule => {
  return { name, version, protocol };
};

function open(
  allowed: readonly ApiRule[],
  denied: readonly ApiRule[],
  protocol: ApiRule["protocol"] = "http",
): ApiGroup[] {
  const isAllowed = apiAccess({ api: { allowed, denied } });
  return GROUPS.filter((group) => isAllowed(protocol, group));
}

describe("the lists of APIs", () => {
  it("leave everything open when they are empty", () => {
    assert.deepEqual(open([], []), GROUPS);
  });

  for (const version of ["v1", "v1.0"]) {
    it(`close all others once one is allowed, as ${version}`, () => {
      assert.deepEqual(open([rule("state", version)], []), ["state/v1.0"]);
    });
  }

  it("take the alpha version in both spellings", () => {
    assert.deepEqual(open([rule("state", "v1.0-alpha1")], []), ["state/v1.0-alpha1"]);
    assert.deepEqual(open([rule("state", "v1alpha1")], []), ["state/v1.0-alpha1"]);
  });

  it("are apart for HTTP and gRPC", () => {
    const allowed = [rule("state", "v1", "grpc")];
    assert.deepEqual(open(allowed, []), GROUPS);
    assert.deepEqual(open(allowed, [], "grpc"), ["state/v1.0"]);
  });

  it("close what is denied although it is allowed", () => {
    const both = [rule("state", "v1"), rule("metadata", "v1")];
    assert.deepEqual(open(both, [rule("metadata", "v1.0")]), ["state/v1.0"]);
  });

  it("want Pannier's own API by name once something is allowed, and close it with state", () => {
    assert.deepEqual(open([rule("state", "v1"), rule("pannier", "v1")], []), ["state/v1.0", "pannier/v1"]);
    assert.deepEqual(open([], [rule("pannier", "v1")]), GROUPS.slice(0, -1));
    assert.ok(!open([], [rule("state", "v1")]).includes("pannier/v1"));
  });

  it("cannot take health away", () => {
    assert.equal(apiAccess({ api: { allowed: [rule("state", "v1")], denied: [] } })("http", null), true);
  });
});
