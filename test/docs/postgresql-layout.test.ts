// What the pages of state.postgresql, state.cockroachdb and state.yugabytedb show for looking into the store: their SQL as
// printed there, against what a sidecar has written.
import assert from "node:assert/strict";
import { makeStandIn } from "#test/servers/cockroachdb.ts";
import { describeWithPostgres, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

/** The blocks of SQL of a page in their order, each as its statements. */
function statements(page: string): readonly (readonly string[])[] {
  const blocks = readPage(page).blocks.filter(({ language }) => language === "sql");
  return blocks.map(({ text }) =>
    text
      .split(";")
      .map((each) => each.trim())
      .filter(Boolean),
  );
}

const PAGE = "docs/stores/postgresql.md";

const LOOKS: readonly { readonly page: string; readonly block: number; readonly version: string }[] = [
  { page: PAGE, block: 0, version: "v1" },
  { page: PAGE, block: 1, version: "v2" },
  { page: "docs/stores/cockroachdb.md", block: 0, version: "v1" },
  { page: "docs/stores/yugabytedb.md", block: 0, version: "v2" },
];

describeWithPostgres("a look into the tables of PostgreSQL", () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  for (const [index, { page, block, version }] of LOOKS.entries()) {
    it(`shows what block ${block + 1} of ${page} says`, async () => {
      const type = /(\w+)\.md$/.exec(page)?.[1] ?? "";
      const database = `look${index}`;
      await makeStandIn(server, database);
      const metadata = { connectionString: server.url(database), actorStateStore: "true" };
      const manifest = component("statestore", `state.${type}`, metadata).replace("version: v1", `version: ${version}`);
      const wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "myapp" } });
      try {
        await save(wire, "order", '{"a":1}');
        for (const [id, age] of [
          ["leroy", 4],
          ["rex", 7],
        ] as const) {
          const changes = [{ operation: "upsert", request: { key: "age", value: age } }];
          const { status } = await ask(wire, "POST", `/v1.0/actors/mypets/${id}/state`, changes);
          assert.equal(status, 204);
        }
      } finally {
        await wire.stop();
      }
      const [keys = "", actor = "", average = "", ...more] = statements(page)[block] ?? [];
      assert.deepEqual(more, []);
      const rows = (text: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
        server.query(text, [], database);
      assert.deepEqual(
        (await rows(keys)).map(({ key }) => key),
        ["myapp||mypets||leroy||age", "myapp||mypets||rex||age", "myapp||order"],
      );
      assert.deepEqual(
        (await rows(actor)).map(({ key, value }) => [key, String(value)]),
        [["myapp||mypets||leroy||age", "4"]],
      );
      assert.equal(Number((await rows(average))[0]?.average), 5.5);
    });
  }
});
