// What the page of state.sqlserver shows for looking into the store, and rows as Dapr lays them out: against a real server,
// which there is only by address. Without one, only that the page speaks of the tables that the driver makes.
import assert from "node:assert/strict";
import { addressedSqlServer, describeWithSqlServer } from "#test/servers/sqlserver.ts";
import { TdsServer } from "#test/servers/tds/tds-server.ts";
import { connectionTo, openStore, type Version } from "#test/unit/sidecar/stores/sqlserver/fixture.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

const PAGE = "docs/stores/sqlserver.md";
const FORM = /^CREATE TABLE \[dbo\]\.\[state\] \((.*)\);$/;

/** The statements of the page, in their order, for another table. */
function statements(table: string): readonly string[] {
  const blocks = readPage(PAGE).blocks.filter(({ language }) => language === "sql");
  const texts = blocks.flatMap(({ text }) => text.split(";").map((each) => each.trim())).filter(Boolean);
  return texts.map((text) =>
    text.replaceAll("[dbo].[state]", `[dbo].[${table}]`).replaceAll("PK_state", `PK_${table}`),
  );
}

describe("the page of state.sqlserver", () => {
  it("names the columns that the driver makes, and the constraint, and no others", async () => {
    const server = await TdsServer.start();
    try {
      const made = async (version: Version): Promise<readonly string[]> => {
        const fields = { connectionString: connectionTo(server.port) };
        await assert.rejects(openStore({ fields, version }), { code: "corrupt" });
        const definitions = server.requests
          .map(({ text }) => FORM.exec(text)?.[1])
          .findLast((each) => each !== undefined);
        return [...(definitions ?? "").matchAll(/(?:^|, )\[(\w+)\] /g)].map(([, name]) => name ?? "");
      };
      const [, layout = ""] = readPage(PAGE).text.split("\n## Layout\n");
      const named = new Set([...layout.matchAll(/`(\w+)`/g)].map(([, name]) => name));
      const columns = new Set([...(await made("v1")), ...(await made("v2"))]);
      assert.equal(columns.size, 8);
      assert.deepEqual(
        [...columns].filter((column) => !named.has(column)),
        [],
      );
      const asked = [
        ...statements("state")
          .join()
          .matchAll(/\[(?!dbo|state|PK_|average)(\w+)\]/g),
      ];
      assert.deepEqual(
        asked.map(([, column]) => column ?? "").filter((column) => !columns.has(column)),
        [],
      );
    } finally {
      await server.stop();
    }
  });
});

describeWithSqlServer("a look into the tables of SQL Server", () => {
  it("shows the keys of an application, the state of an actor, and an average over actors", async () => {
    const { connectionString, tables, query } = addressedSqlServer();
    const manifest = component("statestore", "state.sqlserver", {
      connectionString,
      actorStateStore: "true",
      ...tables,
    });
    const wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "myapp" } });
    try {
      const [drop = "", alter = "", add = "", keys = "", actor = "", average = ""] = statements(tables.tableName);
      await save(wire, "order", '{"a":1}');
      for (const [id, age] of [
        ["leroy", 4],
        ["rex", 7],
      ] as const) {
        const changes = [{ operation: "upsert", request: { key: "age", value: age } }];
        assert.equal((await ask(wire, "POST", `/v1.0/actors/mypets/${id}/state`, changes)).status, 204);
      }
      for (const change of [drop, alter, add]) await query(change);
      assert.deepEqual(
        (await query(keys)).map(({ Key }) => Key),
        ["myapp||mypets||leroy||age", "myapp||mypets||rex||age", "myapp||order"],
      );
      assert.deepEqual(await query(actor), [{ Key: "myapp||mypets||leroy||age", Data: "4" }]);
      assert.equal(Number((await query(average))[0]?.average), 5.5);
    } finally {
      await wire.stop();
    }
  });

  it("reads a row as Dapr writes it, by hand of another client, and leaves one that Dapr finds", async () => {
    const { connectionString, tables, query } = addressedSqlServer();
    const { tableName: table, metadataTableName: metadata } = tables;
    await query(
      `CREATE TABLE [dbo].[${table}] ([Key] NVARCHAR(200) CONSTRAINT PK_${table} PRIMARY KEY, [Data] NVARCHAR(MAX) NOT NULL,
        [InsertDate] DateTime2 NOT NULL DEFAULT(GETDATE()), [UpdateDate] DateTime2 NULL, [ExpireDate] DateTime2 NULL,
        [RowVersion] ROWVERSION NOT NULL)`,
    );
    await query(`INSERT INTO [dbo].[${table}] ([Key], [Data]) VALUES (N'myapp||theirs', N'{"by":"dapr"}')`);
    const manifest = component("statestore", "state.sqlserver", { connectionString, ...tables });
    const wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "myapp" } });
    try {
      const { text, headers } = await ask(wire, "GET", "/v1.0/state/statestore/theirs");
      assert.equal(text, '{"by":"dapr"}');
      const [version] = await query(
        `SELECT CONVERT(VARCHAR(16), CONVERT(BINARY(8), [RowVersion]), 2) AS hex FROM [dbo].[${table}]`,
      );
      assert.equal(headers.etag, String(version?.hex).toLowerCase());
      await save(wire, "ours", '{"by": "pannier"}');
      const rows = await query(
        `SELECT [Data], CASE WHEN [ExpireDate] IS NULL THEN 1 ELSE 0 END AS stays FROM [dbo].[${table}] WHERE [Key] = N'myapp||ours'`,
      );
      assert.deepEqual(rows, [{ Data: '{"by": "pannier"}', stays: 1 }]);
      assert.deepEqual(await query(`SELECT [Key] FROM [dbo].[${metadata}]`), []);
    } finally {
      await wire.stop();
    }
  });
});
