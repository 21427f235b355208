// The statements as plain data, against the sheet (dapr-state-stores.md 8b, 8c) and against what only a server would tell.
import assert from "node:assert/strict";
import { keyColumnOf } from "#sidecar/stores/sqlserver/keys.ts";
import { VALUE_COLUMNS } from "#sidecar/stores/sqlserver/layout.ts";
import { type Statement, type Statements, statementsFor } from "#sidecar/stores/sqlserver/statements.ts";
import { walkStatements } from "#sidecar/stores/sqlserver/walk.ts";

const NAMES = { schema: "dbo", state: "state", metadata: "dapr_metadata" };
const FOUND = {
  string: { type: "nvarchar", length: 200, collation: "Latin1_General_100_BIN2" },
  uuid: { type: "uniqueidentifier", length: null, collation: null },
  integer: { type: "int", length: null, collation: null },
} as const;
const KEY_TYPES = ["string", "uuid", "integer"] as const;
const VERSIONS = ["v1", "v2"] as const;

function statements(keyType: (typeof KEY_TYPES)[number], version: (typeof VERSIONS)[number]): Statements {
  const key = keyColumnOf(keyType, 200, FOUND[keyType]);
  assert.ok(key !== null);
  return statementsFor(NAMES, key, VALUE_COLUMNS[version]);
}

/** Every statement of every layout, with its name. */
function all(): readonly (readonly [string, Statement])[] {
  return KEY_TYPES.flatMap((keyType) =>
    VERSIONS.flatMap((version) => {
      const fixed = Object.entries(statements(keyType, version)).map(
        ([name, each]) => [name, typeof each === "function" ? each(2) : each] as const,
      );
      const walks = Object.entries(walkStatements("[dbo].[state]", VALUE_COLUMNS[version])).map(
        ([name, each]) => [name, each({ from: "at", hasEnd: true })] as const,
      );
      return [...fixed, ...walks].map(([name, each]) => [`${keyType} ${version} ${name}`, each] as const);
    }),
  );
}

describe("the statements of SQL Server", () => {
  it("use each parameter that they declare, and no other", () => {
    for (const [name, { text, parameters }] of all()) {
      const used = new Set([...text.matchAll(/(?<!@)@(\w+)/g)].map(([, word]) => word));
      used.delete("Changed");
      assert.deepEqual([...used].sort(), parameters.map(([each]) => each).sort(), name);
    }
  });

  it("end each statement, so that none runs into the next", () => {
    for (const [name, { text }] of all()) assert.match(text, /;$/, name);
  });

  it("undo all of several steps when one fails: they begin a transaction and commit it", () => {
    const { put, create, claimCleanup } = statements("string", "v1");
    for (const { text, lasting } of [put, create, claimCleanup]) {
      assert.match(text, /^BEGIN TRANSACTION; .* COMMIT TRANSACTION;$/s);
      assert.equal(lasting, true);
    }
  });

  it("hold a key, also one without a row, between the look and the write", () => {
    const { put, create, take } = statements("string", "v1");
    assert.match(put.text, /^BEGIN TRANSACTION; UPDATE \[dbo\]\.\[state\] WITH \(UPDLOCK, HOLDLOCK\) SET /);
    assert.equal(create.text.match(/WITH \(UPDLOCK, HOLDLOCK\)/g)?.length, 2);
    assert.match(take(1).text, /FROM \[dbo\]\.\[state\] WITH \(UPDLOCK, HOLDLOCK\) WHERE/);
  });

  it("say of those that take effect by themselves that they do, and of no other", () => {
    const named = all().filter(([, { lasting }]) => lasting);
    const names = new Set(named.map(([name]) => name.split(" ").at(-1)));
    const wanted = ["put", "create", "replace", "remove", "removeIf", "claimCleanup", "cleanup", "removeRange"];
    assert.deepEqual([...names].sort(), wanted.sort());
  });

  it("see only live rows, except to overwrite or delete without a condition", () => {
    const live = "([ExpireDate] IS NULL OR [ExpireDate] > SYSDATETIME())";
    const { get, getMany, replace, removeIf, put, remove, create } = statements("string", "v1");
    for (const { text } of [get, getMany(1), replace, removeIf]) assert.ok(text.includes(` AND ${live}`), text);
    for (const { text } of [put, remove]) assert.ok(!text.includes(live), text);
    assert.ok(create.text.includes(`AND NOT ${live}`));
  });

  it("compare keys by their bytes and their length besides the collation", () => {
    const same =
      "[Key] = @Key AND CONVERT(VARBINARY(8000), [Key]) = CONVERT(VARBINARY(8000), @Key) AND DATALENGTH([Key]) = DATALENGTH(@Key)";
    const { get, put, replace, remove, removeIf } = statements("string", "v1");
    for (const { text } of [get, put, replace, remove, removeIf]) assert.ok(text.includes(`WHERE ${same}`), text);
  });

  it("convert keys of the other types on the way in and back", () => {
    const uuid = statements("uuid", "v1");
    assert.ok(uuid.get.text.includes("WHERE [Key] = CONVERT(UNIQUEIDENTIFIER, @Key) AND"));
    assert.ok(uuid.put.text.includes("VALUES (CONVERT(UNIQUEIDENTIFIER, @Key), @Data"));
    assert.ok(uuid.getMany(1).text.startsWith("SELECT LOWER(CONVERT(NVARCHAR(36), [Key])) AS [Key]"));
    const integer = statements("integer", "v1");
    assert.ok(integer.getMany(2).text.includes("[Key] IN (CONVERT(INT, @Key0), CONVERT(INT, @Key1))"));
  });

  it("write the columns of Dapr's procedure, and clear an older TTL", () => {
    const v1 = statements("string", "v1");
    assert.ok(
      v1.put.text.includes(
        "SET [Data] = @Data, [UpdateDate] = SYSDATETIME(), [ExpireDate] = DATEADD(SECOND, @TTL, SYSDATETIME()) WHERE",
      ),
    );
    assert.ok(v1.put.text.includes("INSERT INTO [dbo].[state] ([Key], [Data], [ExpireDate]) VALUES (@Key, @Data, "));
    const v2 = statements("string", "v2");
    assert.ok(
      v2.put.text.includes("SET [Data] = @Data, [BinaryData] = @BinaryData, [isBinary] = @IsBinary, [UpdateDate]"),
    );
    assert.deepEqual(v2.put.parameters, [
      ["Key", "key"],
      ["Data", "text"],
      ["BinaryData", "bytes"],
      ["IsBinary", "flag"],
      ["TTL", "whole"],
    ]);
  });

  it("write many rows with a number behind each name, within the server's 2100 parameters", () => {
    const { putAll, getMany } = statements("string", "v2");
    const names = putAll(64).parameters.map(([name]) => name);
    assert.equal(new Set(names).size, 64 * 5);
    assert.ok(names.includes("BinaryData63"));
    assert.ok(getMany(2000).parameters.length <= 2098);
  });

  it("keep the last cleanup as Dapr does, in local time and style 21", () => {
    const { claimCleanup } = statements("string", "v1");
    assert.ok(
      claimCleanup.text.includes("[Value] = CONVERT(NVARCHAR(MAX), GETDATE(), 21) WHERE [Key] = N'last-cleanup'"),
    );
  });

  it("walk between two keys, and bound what a page looks at", () => {
    const { page } = walkStatements("[dbo].[state]", VALUE_COLUMNS.v1);
    const first = page({ from: "at", hasEnd: true });
    assert.match(
      first.text,
      /SELECT TOP \(@Look\) .* WHERE \[Key\] >= @From AND \[Key\] < @End ORDER BY \[Key\]\) AS/s,
    );
    assert.match(page({ from: "behind", hasEnd: false }).text, /WHERE \[Key\] > @From ORDER BY \[Key\]\) AS/);
  });
});
