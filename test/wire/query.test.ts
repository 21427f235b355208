// The query route over real HTTP (dapr-state-api.md 1.15), on the in-memory store and on an encrypted one.
import assert from "node:assert/strict";
import { ask, errorOf, save } from "./client.ts";
import { type Answer, component, startWire, type WireSidecar } from "./sidecar.ts";

const QUERY = "/v1.0-alpha1/state/statestore/query";

interface Item {
  readonly key: string;
  readonly data: unknown;
  readonly etag?: string;
  readonly metadata?: object;
}

/** Dapr's own example of the how-to, shortened. */
const EMPLOYEES: Readonly<Record<string, string>> = {
  "1": '{"person":{"org":"Dev Ops","id":1036},"city":"Seattle","state":"WA"}',
  "2": '{"person":{"org":"Hardware","id":1028},"city":"Portland","state":"OR"}',
  "3": '{"person":{"org":"Finance","id":1071},"city":"Sacramento","state":"CA"}',
  "4": '{"person":{"org":"Dev Ops","id":1042},"city":"Spokane","state":"WA"}',
  "5": '{"person":{"org":"Hardware","id":1007},"city":"Los Angeles","state":"CA"}',
};

describe("the query API over HTTP", () => {
  let wire: WireSidecar;

  before(async () => {
    const key = "    - name: primaryEncryptionKey\n      secretKeyRef: {name: k, key: k}\n";
    const sealed = component("sealed", "state.in-memory", { keyPrefix: "none" });
    const vault = component("vault", "secretstores.local.env");
    wire = await startWire({
      manifests: {
        "a.yaml": component("statestore", "state.in-memory"),
        "b.yaml": component("mixed", "state.in-memory"),
        "c.yaml": vault,
        "d.yaml": `${sealed}${key}auth:\n  secretStore: vault\n`,
      },
      env: { k: "000102030405060708090a0b0c0d0e0f" },
      settings: { bodyBytesMax: 1000 },
    });
    for (const [name, value] of Object.entries(EMPLOYEES)) await save(wire, name, value);
  });
  after(() => wire.stop());

  const query = (body: unknown, method = "POST"): Promise<Answer> => ask(wire, method, QUERY, body);
  const keysOf = (answer: Answer): readonly string[] => {
    assert.equal(answer.status, 200, answer.text);
    const { results }: { results: readonly Item[] } = JSON.parse(answer.text);
    return results.map(({ key }) => key);
  };

  it("filters, sorts and pages, by POST and by PUT", async () => {
    const asked = {
      filter: { OR: [{ EQ: { "person.org": "Dev Ops" } }, { IN: { state: ["CA"] } }] },
      sort: [{ key: "state", order: "DESC" }, { key: "person.id" }],
      page: { limit: 3 },
    };
    for (const method of ["POST", "PUT"]) {
      const first = await query(asked, method);
      assert.deepEqual(keysOf(first), ["1", "4", "5"]);
      assert.equal(first.headers["content-type"], "application/json");
      const { token }: { token: string } = JSON.parse(first.text);
      const second = await query({ ...asked, page: { limit: 3, token } }, method);
      assert.deepEqual([keysOf(second), "token" in JSON.parse(second.text)], [["3"], false]);
    }
  });

  it("answers each row with its key, its exact bytes and its ETag", async () => {
    const answer = await query({ filter: { EQ: { "person.id": 1071 } } });
    const etag = (await ask(wire, "GET", "/v1.0/state/statestore/3")).headers.etag;
    assert.equal(answer.text, `{"results":[{"key":"3","data":${EMPLOYEES["3"]},"etag":${JSON.stringify(etag)}}]}`);
  });

  it("answers all rows to a query without a filter, and 204 when there are none", async () => {
    assert.deepEqual(keysOf(await query("{}")), ["1", "2", "3", "4", "5"]);
    const none = await query({ filter: { EQ: { city: "Nowhere" } }, page: { limit: 1 } });
    assert.deepEqual([none.status, none.text, none.headers["content-type"]], [204, "", undefined]);
  });

  it("shows rows that are no JSON as a bulk get does, and an empty one as null", async () => {
    const entry = wire.sidecar.stores.find("mixed");
    assert.ok(entry !== undefined);
    const plain = { isJson: false, etag: null, firstWrite: false, strong: false, ttlSec: null, metadata: {} };
    const values = { bytes: Buffer.from([0xff, 0]), empty: Buffer.alloc(0), text: Buffer.from('say "hi"') };
    const call = { signal: new AbortController().signal };
    for (const [name, bytes] of Object.entries(values))
      await entry.store.set({ ...plain, key: `wire||${name}`, bytes }, call);
    const { results }: { results: readonly Item[] } = JSON.parse(
      (await ask(wire, "POST", "/v1.0-alpha1/state/mixed/query", "{}")).text,
    );
    assert.deepEqual(
      results.map(({ key, data, metadata }) => [key, data, metadata]),
      [
        ["bytes", "/wA=", { "pannier.encoding": "base64" }],
        ["empty", null, undefined],
        ["text", 'say "hi"', undefined],
      ],
    );
  });

  it("refuses a query that is none with 500 and Dapr's words", async () => {
    for (const [body, message] of [
      ["", "EOF"],
      ['{"filter":{"EQ":{"a":1},"LT":{"a":1}}}', "filter unit must have a single element"],
      ['{"page":{"token":"x"}}', /^page\.token: got a token that was altered/],
    ] as const) {
      const answer = await query(body);
      const error = errorOf(answer);
      assert.deepEqual([answer.status, error.errorCode], [500, "ERR_STATE_QUERY"]);
      const prefix = "state store statestore query failed: failed to parse JSON query body: ";
      assert.ok(error.message.startsWith(prefix), error.message);
      const rest = error.message.slice(prefix.length);
      if (typeof message === "string") assert.equal(rest, message);
      else assert.match(rest, message);
      assert.deepEqual(
        error.details?.map((detail) => [detail["@type"], detail.reason ?? detail.resource_name]),
        [
          ["type.googleapis.com/google.rpc.ResourceInfo", "statestore"],
          ["type.googleapis.com/google.rpc.ErrorInfo", "DAPR_STATE_QUERY_FAILED"],
        ],
      );
    }
  });

  it("refuses an encrypted store before it looks at the query", async () => {
    const answer = await ask(wire, "POST", "/v1.0-alpha1/state/sealed/query", "no JSON");
    const { errorCode, message } = errorOf(answer);
    assert.deepEqual(
      [answer.status, errorCode, message],
      [500, "ERR_STATE_QUERY", "state store sealed query failed: cannot query encrypted store"],
    );
  });

  it("tells an unknown store without the app id, as Dapr does on this route", async () => {
    const answer = await ask(wire, "POST", "/v1.0-alpha1/state/other/query", "{}");
    const error = errorOf(answer);
    assert.deepEqual([answer.status, error.errorCode], [400, "ERR_STATE_STORE_NOT_FOUND"]);
    assert.deepEqual(
      error.details?.map((detail) => detail.metadata),
      [null],
    );
  });

  it("refuses a body over the limit with the code of its own", async () => {
    const answer = await query(`{"filter":{"EQ":{"a":"${"x".repeat(1000)}"}}}`);
    const { errorCode, message } = errorOf(answer);
    assert.deepEqual([answer.status, errorCode], [400, "ERR_BODY_READ"]);
    assert.match(message, /^failed to read request body: stream too large/);
  });

  it("counts as the operation query", async () => {
    const port = wire.sidecar.metricsPort ?? 0;
    const { text } = await wire.ask("GET", "/metrics", { port });
    assert.match(
      text,
      /dapr_component_state_count\{[^}]*component="statestore"[^}]*operation="query"[^}]*success="true"/,
    );
  });
});
