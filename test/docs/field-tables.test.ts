import assert from "node:assert/strict";
import { duration, flag, text, whole, word } from "#crds/fields.ts";
import { fieldTable, pageTables } from "../../docs/field-tables.ts";

/** The cells of each row, without the head. */
function cellsOf(table: string): readonly (readonly string[])[] {
  const [, , ...rows] = table.trimEnd().split("\n");
  return rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe("a table of fields", () => {
  it("tells name, type, default, other names and what a field is for", () => {
    const table = fieldTable({
      host: text<string>({ fallback: "", required: true, aliases: ["server", "url"], doc: "Where it is." }),
      key: text<string>({ fallback: "", secret: true, doc: "What signs in." }),
      address: text<string>({ fallback: "", shownDefault: "the account's", doc: "Another one." }),
      wait: duration<number>({ fallback: 20_000, bare: "seconds", min: 0, max: 60_000, doc: "How long." }),
      level: word({ fallback: "", shownDefault: "`one`", words: ["", "one", "all"], doc: "How sure." }),
      tries: whole<number | null>({ fallback: null, min: 0, max: 9, doc: "How often." }),
    });
    assert.deepEqual(cellsOf(table), [
      ["`host`", "text", "required", "`server`, `url`", "Where it is."],
      ["`key`", "text, secret", "none", "", "What signs in."],
      ["`address`", "text", "the account's", "", "Another one."],
      ["`wait`", "duration", "`20s`", "", "How long."],
      ["`level`", '"one" or "all"', "`one`", "", "How sure."],
      ["`tries`", "whole number", "none", "", "How often."],
    ]);
  });

  it("says why a field has no effect, and gives it no default", () => {
    const table = fieldTable({ pool: flag({ fallback: false, ignored: "there is no pool", doc: "Its size." }) });
    assert.deepEqual(cellsOf(table), [["`pool`", "boolean", "", "", "No effect: there is no pool."]]);
  });

  it("has what the versions of a type share once, and what one has alone apart", async () => {
    const tables = await pageTables();
    const names = (name: string): readonly (string | undefined)[] =>
      cellsOf(tables.get(`fields of state.postgresql${name}`) ?? "").map(([cell]) => cell);
    assert.deepEqual(names(", version v1 alone"), ["`tableName`", "`lossyValues`", "`tablePrefix`"]);
    assert.deepEqual(names(", version v2 alone"), ["`tablePrefix`", "`tableName`"]);
    assert.ok(names("").includes("`connectionString`"));
    assert.ok(!names("").includes("`tableName`"));
    assert.ok(tables.has("fields of state.etcd"));
    assert.ok(!tables.has("fields of state.etcd, version v1 alone"));
  });
});
