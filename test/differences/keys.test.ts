// The rows of docs/differences.md on keys and bulk writes, over HTTP.
import assert from "node:assert/strict";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const OWN = "/pannier/v1/state/statestore";

describe("differences in keys and bulk writes", () => {
  let wire: WireSidecar;

  before(async () => {
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.in-memory") } });
  });
  after(() => wire.stop());

  const post = (path: string, body: unknown): ReturnType<typeof ask> =>
    ask(wire, "POST", `${OWN}/${path}`, body, { "content-type": "application/json" });

  it("K1: keys are listed, counted and deleted by their beginning", async () => {
    for (const key of ["k1-a", "k1-b", "other"]) await save(wire, key, "1");
    assert.equal((await ask(wire, "GET", `${OWN}/keys?prefix=k1-`)).text, '{"items":[{"key":"k1-a"},{"key":"k1-b"}]}');
    assert.equal((await ask(wire, "GET", `${OWN}/count?prefix=k1-`)).text, '{"count":2}');
    assert.equal((await post("delete-by-prefix", { prefix: "k1-" })).text, '{"deleted":2,"more":false}');
    assert.equal((await ask(wire, "GET", `${STORE}/other`)).status, 200);
  });

  it("K2: bulk writes answer for each item, where a save answers one error for all", async () => {
    const items = [
      { key: "k2-a", value: 1 },
      { key: "k2-b", value: 2, etag: "stale" },
    ];
    assert.equal((await ask(wire, "POST", STORE, items)).status, 409);
    for (const path of ["bulk-save", "bulk-delete"]) {
      const results: { status: number }[] = JSON.parse((await post(path, items)).text);
      assert.deepEqual(
        results.map(({ status }) => status),
        [204, 409],
      );
    }
  });
});
