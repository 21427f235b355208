// What the page of state.mysql shows for looking into the store: its SQL as printed there, against what a sidecar has
// written.
import assert from "node:assert/strict";
import { describeWithMysql, type MysqlServer, startMysql } from "#test/servers/mysql.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

const PAGE = "docs/stores/mysql.md";
const SCHEMA = "dapr_state_store";

/** The statements of the page, in their order. */
function statements(): readonly string[] {
  const blocks = readPage(PAGE).blocks.filter(({ language }) => language === "sql");
  return blocks.flatMap(({ text }) => text.split(";").map((each) => each.trim())).filter(Boolean);
}

describeWithMysql("a look into the tables of MySQL", () => {
  let server: MysqlServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startMysql();
    const metadata = { connectionString: server.dsn(), actorStateStore: "true" };
    const manifest = component("statestore", "state.mysql", metadata);
    wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "myapp" } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  it("shows the keys of an application, the state of an actor, and an average over actors", async () => {
    const [alter = "", keys = "", actor = "", average = ""] = statements();
    await save(wire, "order", '{"a":1}');
    for (const [id, age] of [
      ["leroy", 4],
      ["rex", 7],
    ] as const) {
      const changes = [{ operation: "upsert", request: { key: "age", value: age } }];
      const { status } = await ask(wire, "POST", `/v1.0/actors/mypets/${id}/state`, changes);
      assert.equal(status, 204);
    }
    const rows = async (text: string): Promise<readonly unknown[]> =>
      (await server.query(text, [], SCHEMA)).map((row) => ({ ...row }));
    assert.deepEqual(await rows(keys), [
      { id: "myapp||mypets||leroy||age" },
      { id: "myapp||mypets||rex||age" },
      { id: "myapp||order" },
    ]);
    assert.deepEqual(await rows(actor), [{ id: "myapp||mypets||leroy||age", value: "4" }]);
    assert.equal(Number((await server.query(average, [], SCHEMA))[0]?.average), 5.5);
    await server.query(alter, [], SCHEMA);
    assert.equal((await rows(keys)).length, 3);
  });
});
