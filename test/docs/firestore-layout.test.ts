// What the page of state.gcp.firestore shows for looking into the store: its queries as printed there, asked of the emulator's
// own JSON API, against what a sidecar has written.
import assert from "node:assert/strict";
import { type DatastoreServer, describeWithDatastore, startDatastore } from "#test/servers/datastore.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

interface Batch {
  readonly entityResults?: readonly {
    readonly entity: {
      readonly key: { readonly path: readonly { readonly name: string }[] };
      readonly properties?: { readonly Value?: { readonly stringValue: string } };
    };
  }[];
}

describeWithDatastore("a look into Datastore", () => {
  let server: DatastoreServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startDatastore();
    const metadata = { ...server.metadata, actorStateStore: "true" };
    const manifest = component("statestore", "state.gcp.firestore", metadata);
    wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "orders-app" } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  /** Names and values that a query finds. */
  async function found(query: string): Promise<readonly (readonly [name: string, value: string | null])[]> {
    const { batch } = (await server.ask("runQuery", JSON.parse(query))) as { readonly batch: Batch };
    return (batch.entityResults ?? []).map(({ entity: { key, properties } }) => [
      key.path[0]?.name ?? "",
      properties?.Value?.stringValue ?? null,
    ]);
  }

  it("shows the keys of an app, the state of an actor, and where a value is", async () => {
    const blocks = readPage("docs/stores/gcp.firestore.md").blocks.filter(({ language }) => language === "json");
    const [keys = "", actor = "", value = "", ...more] = blocks.map(({ text }) => text);
    assert.deepEqual(more, []);
    await save(wire, "order-1", '{"a": 1}');
    const balance = [{ operation: "upsert", request: { key: "balance", value: 7 } }];
    assert.equal((await ask(wire, "POST", "/v1.0/actors/Account/alice/state", balance)).status, 204);
    // Of another app, and of an actor whose id only begins so.
    await server.ask("commit", {
      mode: "NON_TRANSACTIONAL",
      mutations: ["orders-app2||a", "orders-app||Account||alice2||balance"].map((name) => ({
        upsert: { key: { path: [{ kind: "DaprState", name }] }, properties: { Value: { stringValue: "8" } } },
      })),
    });
    const alice = "orders-app||Account||alice||balance";
    assert.deepEqual(await found(keys), [
      ["orders-app||Account||alice2||balance", null],
      [alice, null],
      ["orders-app||order-1", null],
    ]);
    assert.deepEqual(await found(actor), [[alice, "7"]]);
    assert.deepEqual(await found(value), [[alice, "7"]]);
  });
});
