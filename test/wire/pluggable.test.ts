// A sidecar whose store is a pluggable component, over HTTP: what it declares works, what it does not is refused, and it is
// found again when it comes late, goes, and comes back.
import assert from "node:assert/strict";
import { type PluggableComponent, startComponent } from "#test/servers/pluggable.ts";
import { ask, errorOf, STORE, save } from "./client.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";
import { until } from "./until.ts";

const MANIFEST = component("statestore", "state.Ours", { colour: "red", keyPrefix: "none" });
const QUERY = "/v1.0-alpha1/state/statestore/query";

function sidecarAt(
  folder: string,
  manifest = MANIFEST,
  more: Readonly<Record<string, string>> = {},
): Promise<WireSidecar> {
  return startWire({ manifests: { "a.yaml": manifest, ...more }, settings: { componentsSocketsFolder: folder } });
}

describe("a pluggable component", () => {
  let ours: PluggableComponent;
  let wire: WireSidecar;

  before(async () => {
    ours = await startComponent("ours");
    wire = await sidecarAt(ours.folder, MANIFEST, { "b.yaml": component("prefixed", "state.ours") });
  });
  after(async () => {
    await wire.stop();
    await ours.stop();
  });

  it("keeps what is saved, byte for byte, under its ETag", async () => {
    await save(wire, "a", '{"n":  1.50}');
    const { text, headers } = await ask(wire, "GET", `${STORE}/a`);
    assert.equal(text, '{"n":  1.50}');
    const stale = await ask(wire, "POST", STORE, [{ key: "a", value: 2, etag: "other" }]);
    assert.equal(stale.status, 409, stale.text);
    const held = await ask(wire, "POST", STORE, [{ key: "a", value: 2, etag: headers.etag }]);
    assert.equal(held.status, 204, held.text);
  });

  it("applies a transaction as a whole, and none of it when a condition does not hold (PL3)", async () => {
    const operations = (etag: string): object[] => [
      { operation: "upsert", request: { key: "t1", value: 1 } },
      { operation: "upsert", request: { key: "t2", value: 2, ...(etag === "" ? {} : { etag }) } },
    ];
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, { operations: operations("no") })).status, 409);
    assert.equal((await ask(wire, "GET", `${STORE}/t1`)).status, 204);
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, { operations: operations("") })).status, 204);
    assert.equal((await ask(wire, "GET", `${STORE}/t2`)).text, "2");
  });

  it("is told a time to live, and tells when it ends", async () => {
    await ask(wire, "POST", STORE, [{ key: "ttl", value: 1, metadata: { ttlInSeconds: "100" } }]);
    const told = (await ask(wire, "GET", `${STORE}/ttl`)).headers["metadata.ttlexpiretime"];
    assert.ok(Math.abs(Date.parse(String(told)) - Date.now() - 100_000) < 10_000, String(told));
  });

  it("tells a query nothing of keys beyond the caller's prefix", async () => {
    await save(wire, "others", '{"city":"Portland"}');
    await save(wire, "mine", '{"city":"Portland"}', "/v1.0/state/prefixed");
    const query = { filter: { EQ: { city: "Portland" } } };
    const { status, text } = await ask(wire, "POST", "/v1.0-alpha1/state/prefixed/query", query);
    assert.equal(status, 200, text);
    const { results }: { results: { key: string }[] } = JSON.parse(text);
    assert.deepEqual(
      results.map(({ key }) => key),
      ["mine"],
    );
  });

  it("answers queries itself, page by page", async () => {
    for (const [key, state] of [
      ["q1", "CA"],
      ["q2", "WA"],
      ["q3", "CA"],
    ])
      await save(wire, String(key), JSON.stringify({ state }));
    await save(wire, "elsewhere", '{"state":"CA"}', "/v1.0/state/statestore");
    const asked = { filter: { EQ: { state: "CA" } }, sort: [{ key: "state", order: "DESC" }], page: { limit: 2 } };
    const keys: string[] = [];
    let token = "";
    do {
      const { status, text } = await ask(wire, "POST", QUERY, { ...asked, page: { limit: 2, token } });
      assert.equal(status, 200, text);
      const page: { results: { key: string }[]; token?: string } = JSON.parse(text);
      keys.push(...page.results.map(({ key }) => key));
      token = page.token ?? "";
    } while (token !== "");
    assert.deepEqual(keys, ["q3", "q1", "elsewhere"]);
    const forged = await ask(wire, "POST", QUERY, { ...asked, page: { limit: 2, token: "2" } });
    assert.match(errorOf(forged).message, /page\.token: got a token that was altered/);
  });

  it("cannot list its keys, and says so", async () => {
    const { status, text } = await ask(wire, "GET", "/pannier/v1/state/statestore/keys?prefix=a");
    assert.ok(status >= 400, `${status} ${text}`);
    assert.match(text, /does not support|cannot/);
  });

  it("is found again after it was killed, with its metadata first, and errors end at once meanwhile (PL1)", async () => {
    await save(wire, "kept", "1");
    await ours.kill9();
    const { status, text } = await ask(wire, "GET", `${STORE}/kept`);
    assert.equal(status, 500);
    assert.match(text, /pluggable component ours/);
    await ours.restart();
    await until("it is found again", async () => (await ask(wire, "GET", `${STORE}/kept`)).status === 200);
    assert.equal((await ask(wire, "GET", `${STORE}/kept`)).text, "1");
  });

  it("has its calls ended when it hangs, and serves on when it goes on", async function () {
    this.timeout(120_000);
    ours.pause();
    const { status, text } = await ask(wire, "POST", STORE, [{ key: "hung", value: 1 }]);
    ours.resume();
    assert.equal(status, 500);
    assert.match(text, /no answer from pluggable component ours in time; the write may have happened/);
    await until(
      "it serves on",
      async () => (await ask(wire, "POST", STORE, [{ key: "hung", value: 2 }])).status === 204,
    );
  });
});

describe("a pluggable component's start", () => {
  it("may come after the sidecar's (PL2)", async () => {
    const ours = await startComponent("ours");
    await ours.kill9();
    const patient = MANIFEST.replace("spec:\n", "spec:\n  initTimeout: 1m\n");
    const starting = sidecarAt(ours.folder, patient);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await ours.restart();
    const wire = await starting;
    await save(wire, "a", "1");
    await wire.stop();
    await ours.stop();
  });

  it("fails in the component's own words", async () => {
    const ours = await startComponent("ours");
    const manifest = component("statestore", "state.ours", { password: "wrong" });
    await assert.rejects(sidecarAt(ours.folder, manifest), /pluggable component ours: the password is wrong/);
    await ours.stop();
  });

  it("is waited for with a word on the type and the folder", async () => {
    const ours = await startComponent("ours");
    const manifest = component("statestore", "state.theirs").replace(
      "  metadata: []",
      "  initTimeout: 1s\n  ignoreErrors: true\n  metadata: []",
    );
    const wire = await sidecarAt(ours.folder, manifest);
    const said = wire.log.filter((line) => line.includes("waiting for a pluggable component"));
    assert.equal(said.length, 1);
    assert.match(
      said.join(""),
      /there is no store state\.theirs, and no pluggable component: no socket theirs\.\* in /,
    );
    await wire.stop();
    await ours.stop();
  });

  it("leaves a type of Pannier's own alone (PL5)", async () => {
    const named = await startComponent("in-memory");
    const wire = await sidecarAt(named.folder, component("statestore", "state.in-memory"));
    await named.kill9();
    await save(wire, "a", "1");
    assert.equal((await ask(wire, "GET", `${STORE}/a`)).text, "1");
    await wire.stop();
    await named.stop();
  });

  it("is waited for only where there is a folder of sockets", async () => {
    await assert.rejects(
      sidecarAt("/nonexistent"),
      /couldn't find state store state\.ours\/v1.*any other can be a pluggable component/s,
    );
  });
});

describe("a pluggable component that does less", () => {
  let ours: PluggableComponent;
  let wire: WireSidecar;

  before(async () => {
    ours = await startComponent("ours", ["ETAG", "TRANSACTIONAL", "TTL", "QUERY_API", "BulkGet", "MultiMaxSize"]);
    wire = await sidecarAt(ours.folder);
  });
  after(async () => {
    await wire.stop();
    await ours.stop();
  });

  it("is asked nothing that it does not declare (PL4)", async () => {
    const refused = [
      await ask(wire, "POST", STORE, [{ key: "a", value: 1, metadata: { ttlInSeconds: "10" } }]),
      await ask(wire, "POST", STORE, [{ key: "a", value: 1, etag: "1" }]),
      await ask(wire, "POST", `${STORE}/transaction`, {
        operations: [{ operation: "upsert", request: { key: "a", value: 1 } }],
      }),
      await ask(wire, "POST", QUERY, {}),
    ];
    for (const { status, text } of refused) assert.ok(status >= 400, `${status} ${text}`);
    assert.equal((await ask(wire, "GET", `${STORE}/a`)).status, 204);
  });

  it("is asked one by one for many, and its ETags are not passed on", async () => {
    for (const key of ["a", "b"]) await save(wire, key, `"${key}"`);
    const { text, status } = await ask(wire, "POST", `${STORE}/bulk`, { keys: ["b", "missing", "a"] });
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(text), [{ key: "b", data: "b" }, { key: "missing" }, { key: "a", data: "a" }]);
    assert.equal((await ask(wire, "GET", `${STORE}/a`)).headers.etag, undefined);
  });
});
