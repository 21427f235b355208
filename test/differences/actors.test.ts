// The rows of docs/differences.md on the state of actors, over HTTP.
import assert from "node:assert/strict";
import { ask, errorOf } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const MARKED = { actorStateStore: "true" };
const ACTOR = "/v1.0/actors/cat/leroy/state";

describe("differences of actor state", () => {
  let wire: WireSidecar;

  beforeEach(async () => {
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.in-memory", MARKED) } });
  });
  afterEach(() => wire.stop());

  const commit = (request: object, operation = "upsert") => ask(wire, "POST", ACTOR, [{ operation, request }]);

  it("A1: reading needs no placement", async () => {
    assert.equal((await ask(wire, "GET", `${ACTOR}/food`)).status, 204);
  });

  it("A2: an actor that was never active is written", async () => {
    assert.equal((await commit({ key: "food", value: "milk" })).status, 204);
    assert.equal((await ask(wire, "GET", `${ACTOR}/food`)).text, '"milk"');
  });

  it("A3: a time to live counts without a feature switch", async () => {
    assert.equal((await commit({ key: "t", value: 1, metadata: { ttlInSeconds: "60" } })).status, 204);
    assert.ok((await ask(wire, "GET", `${ACTOR}/t`)).headers["metadata.ttlexpiretime"] !== undefined);
  });

  it("A4: a conflict is 409 and a request that cannot be is 400", async () => {
    const conflict = await commit({ key: "food", value: 1, etag: "stale" });
    assert.deepEqual([conflict.status, errorOf(conflict).errorCode], [409, "ERR_ACTOR_STATE_TRANSACTION_SAVE"]);
    assert.equal((await commit({ key: "food" }, "drop")).status, 400);
    assert.equal((await commit({ value: 1 })).status, 400);
  });

  it("A5: names that could give two actors one key are refused", async () => {
    const answer = await ask(wire, "GET", "/v1.0/actors/a%7C%7Cb/c/state/k");
    assert.deepEqual([answer.status, errorOf(answer).errorCode], [400, "ERR_MALFORMED_REQUEST"]);
  });

  it("A6: a second marked Component does not end the start", async () => {
    const manifests = {
      "a.yaml": component("one", "state.in-memory", MARKED),
      "b.yaml": component("two", "state.in-memory", MARKED),
    };
    const both = await startWire({ manifests });
    try {
      assert.equal((await ask(both, "GET", "/v1.0/state/one/k")).status, 204);
      assert.match(errorOf(await ask(both, "GET", `${ACTOR}/k`)).message, /one and two/);
    } finally {
      await both.stop();
    }
  });
});
