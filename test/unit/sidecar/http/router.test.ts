import assert from "node:assert/strict";
import { Router } from "#sidecar/http/router.ts";

function stateRouter(): Router<string> {
  const router = new Router<string>();
  router.add(["GET", "DELETE"], { name: "one", pattern: "/v1.0/state/{store}/{key}", api: null, handler: "one" });
  router.add(["POST"], { name: "bulk", pattern: "/v1.0/state/{store}/bulk", api: null, handler: "bulk" });
  router.add(["POST"], { name: "save", pattern: "/v1.0/state/{store}", api: null, handler: "save" });
  return router;
}

describe("router", () => {
  it("prefers a literal part to a parameter", () => {
    const match = stateRouter().match("POST", ["v1.0", "state", "s", "bulk"]);
    assert.deepEqual([match?.route.name, match?.parameters], ["bulk", ["s"]]);
  });

  it("reaches a key that is spelled like a literal with another method", () => {
    const match = stateRouter().match("GET", ["v1.0", "state", "s", "bulk"]);
    assert.deepEqual([match?.route.name, match?.parameters], ["one", ["s", "bulk"]]);
  });

  it("has no match for a known path with another method, a longer path and a shorter one", () => {
    const router = stateRouter();
    for (const [method, path] of [
      ["PATCH", "v1.0/state/s"],
      ["GET", "v1.0/state/s/k/x"],
      ["GET", "v1.0/state"],
      ["GET", ""],
    ] as const) {
      assert.equal(router.match(method, path.split("/")), null, `${method} ${path}`);
    }
  });
});
