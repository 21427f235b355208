// Actor state over HTTP (dapr-state-api.md 4.1, 4.2), without any placement.
import assert from "node:assert/strict";
import { ask, errorOf, STORE } from "./client.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";

const ACTOR = "/v1.0/actors/cat/leroy/state";

interface Operation {
  readonly operation?: string;
  readonly request?: Readonly<Record<string, unknown>>;
}

function upsert(key: string, value: unknown, more: Readonly<Record<string, unknown>> = {}): Operation {
  return { operation: "upsert", request: { key, value, ...more } };
}

describe("actor state", () => {
  let wire: WireSidecar;

  beforeEach(async () => {
    const marked = component("actors", "state.in-memory", { actorStateStore: "true", keyPrefix: "none" });
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.in-memory"), "b.yaml": marked } });
  });
  afterEach(() => wire.stop());

  const commit = async (operations: unknown, path: string = ACTOR): Promise<void> => {
    const answer = await ask(wire, "POST", path, operations);
    assert.deepEqual([answer.status, answer.text], [204, ""]);
  };
  const read = (key: string, path: string = ACTOR) => ask(wire, "GET", `${path}/${key}`);
  const refused = async (operations: unknown, path: string = ACTOR) => {
    const answer = await ask(wire, "POST", path, operations);
    const { errorCode, message } = errorOf(answer);
    return [answer.status, errorCode, message];
  };
  /** What stands in the store, under any key. */
  const stored = async (key: string): Promise<string | undefined> => {
    const entry = wire.sidecar.stores.find("actors");
    assert.ok(entry !== undefined);
    const how = { strong: false, metadata: {} };
    const found = await entry.store.get(key, how, { signal: new AbortController().signal });
    return found === null ? undefined : Buffer.from(found.bytes).toString();
  };

  it("gives back the bytes that came in, as JSON and without an ETag", async () => {
    const body = '[{"operation":"upsert","request":{"key":"food","value":{ "b": 1.0, "a": 12345678901234567890 }}}]';
    await commit(body);
    const answer = await read("food");
    assert.equal(answer.status, 200);
    assert.equal(answer.text, '{ "b": 1.0, "a": 12345678901234567890 }');
    assert.equal(answer.headers["content-type"], "application/json");
    assert.equal(answer.headers.etag, undefined);
  });

  it("answers 204 for an actor that never was", async () => {
    const answer = await read("food", "/v1.0/actors/cat/nobody/state");
    assert.deepEqual([answer.status, answer.text], [204, ""]);
  });

  it("stands under the app, the type, the id and the key, whatever the key prefix of the store", async () => {
    await commit([upsert("food", "milk")]);
    assert.equal(await stored("wire||cat||leroy||food"), '"milk"');
  });

  it("takes PUT, several operations in their order, and a delete of what is not there", async () => {
    await commit([upsert("a", 1), upsert("b", 2)]);
    const second = [
      upsert("a", 3),
      { operation: "delete", request: { key: "b" } },
      { operation: "delete", request: { key: "none" } },
      upsert("a", 4),
    ];
    assert.equal((await ask(wire, "PUT", ACTOR, second)).status, 204);
    assert.equal((await read("a")).text, "4");
    assert.equal((await read("b")).status, 204);
  });

  it("takes no operation at all, in both spellings", async () => {
    await commit("[]");
    await commit("null");
  });

  it("stores null for a value that is not there", async () => {
    await commit('[{"operation":"upsert","request":{"key":"n"}}]');
    assert.equal((await read("n")).text, "null");
  });

  it("tells the expiry of a value that was given a time to live", async () => {
    await commit([upsert("t", 1, { metadata: { ttlInSeconds: "60" } })]);
    const answer = await read("t");
    assert.match(String(answer.headers["metadata.ttlexpiretime"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  it("applies nothing when one operation cannot be", async () => {
    const broken: readonly (readonly [Operation, string, string])[] = [
      [{ request: { key: "k" } }, "ERR_ACTOR_STATE_TRANSACTION_SAVE", "operation is empty"],
      [{ operation: "upsert" }, "ERR_ACTOR_STATE_TRANSACTION_SAVE", "request data is empty"],
      [{ operation: "upsert", request: { value: 1 } }, "ERR_ACTOR_STATE_TRANSACTION_SAVE", "missing key"],
      [
        { operation: "Upsert", request: { key: "k" } },
        "ERR_NOT_SUPPORTED_STATE_OPERATION",
        "operation type Upsert not supported",
      ],
    ];
    for (const [operation, code, text] of broken) {
      const want = [400, code, `error saving actor transaction state: ${text}`];
      assert.deepEqual(await refused([upsert("first", 1), operation]), want);
      assert.equal((await read("first")).status, 204);
    }
  });

  it("says what is wrong with a body that is none", async () => {
    for (const body of ["", "{}", '"x"', '[{"operation":5}]']) {
      const [status, code, message] = await refused(body);
      assert.deepEqual([status, code], [400, "ERR_MALFORMED_REQUEST"]);
      assert.match(String(message), /^failed deserializing HTTP body: /);
    }
  });

  it("keeps two actors apart whose names could make one key", async () => {
    for (const [type, id] of [
      ["a%7C%7Cb", "c"],
      ["a%7C", "b"],
      ["a", "b%7C%7Cc"],
      ["a", "b%7C"],
    ]) {
      const [status, code, message] = await refused([upsert("k", 1)], `/v1.0/actors/${type}/${id}/state`);
      assert.deepEqual([status, code], [400, "ERR_MALFORMED_REQUEST"]);
      assert.match(String(message), /^actor (type|id): got ".*\|", want|^actor (type|id): got ".*\|\|.*", want/);
    }
    await commit([upsert("x||y", 1)], "/v1.0/actors/a/%7Cb/state");
    assert.equal((await read("x%7C%7Cy", "/v1.0/actors/a/%7Cb/state")).text, "1");
  });

  it("refuses the types of Dapr's own actors, for reading too", async () => {
    const path = "/v1.0/actors/dapr.internal.default.app.workflow/1/state";
    const answers = [await read("k", path), await ask(wire, "POST", path, "[]"), await ask(wire, "POST", path, "{")];
    for (const answer of answers) {
      assert.deepEqual([answer.status, errorOf(answer).errorCode], [403, "ERR_ACTOR_TYPE_RESERVED"]);
    }
  });

  it("is out of reach for the state routes", async () => {
    await commit([upsert("food", 1)]);
    const answer = await ask(wire, "GET", "/v1.0/state/actors/wire%7C%7Ccat%7C%7Cleroy%7C%7Cfood");
    assert.equal(answer.status, 400);
    assert.equal((await ask(wire, "GET", `${STORE}/food`)).status, 204);
  });

  it("is counted in the metrics of requests and not in those of stores", async () => {
    await commit([upsert("food", 1)]);
    await read("food");
    const port = wire.sidecar.metricsPort ?? 0;
    const { text } = await wire.ask("GET", "/", { port });
    assert.match(text, /dapr_http_server_request_count\{[^}]*path="\/v1\.0\/actors\//);
    assert.doesNotMatch(text, /dapr_component_state_count\{[^}]*component="actors"/);
  });

  it("warns once that nobody keeps an actor to one place", async () => {
    const warnings = () => wire.log.filter((line) => line.includes("served without placement"));
    assert.equal(warnings().length, 0);
    await read("a");
    await read("b");
    assert.equal(warnings().length, 1);
  });
});

describe("an actor store", () => {
  const over = async (manifests: Readonly<Record<string, string>>, task: (wire: WireSidecar) => Promise<void>) => {
    const wire = await startWire({ manifests });
    await task(wire).finally(() => wire.stop());
  };

  it("that no Component is marked as is an answer of its own", () =>
    over({ "a.yaml": component("statestore", "state.in-memory") }, async (wire) => {
      for (const answer of [await ask(wire, "GET", `${ACTOR}/k`), await ask(wire, "POST", ACTOR, "{")]) {
        const { errorCode, message } = errorOf(answer);
        assert.deepEqual([answer.status, errorCode], [500, "ERR_ACTOR_RUNTIME_NOT_FOUND"]);
        assert.match(message, /^the state store is not configured to use the actor runtime\. Have you set/);
      }
    }));

  it("that two Components are marked as serves from neither, and says which they are", () =>
    over(
      {
        "a.yaml": component("one", "state.in-memory", { actorStateStore: "yes" }),
        "b.yaml": component("two", "state.in-memory", { ACTORSTATESTORE: "1" }),
      },
      async (wire) => {
        const answer = await ask(wire, "POST", ACTOR, [upsert("k", 1)]);
        assert.equal(answer.status, 500);
        assert.match(errorOf(answer).message, /^detected duplicate actor state store: one and two/);
      },
    ));
});
