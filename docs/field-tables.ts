// The tables of metadata fields, for docs/components.md and for the page of each store. Knows no page's text.
import type { Field, FieldTable } from "#crds/fields.ts";
import { loadDriver, STORE_TYPES } from "#sidecar/stores/registry.ts";
import type { StoreDriver } from "#sidecar/stores/store.ts";
import { shownDefault, table } from "./table.ts";

type Row = readonly string[];

/** The page of a type, from docs/. */
export function pageOf(type: string): string {
  return `stores/${type.replace("state.", "")}.md`;
}

export function fieldTable(fields: FieldTable<object>): string {
  return rowTable(rowsOf(fields));
}

/** The fields of all types, one heading for each version. */
export async function storeTables(): Promise<string> {
  const parts: string[] = [];
  for (const type of STORE_TYPES) {
    for (const [version, fields] of versionsOf(await driverOf(type))) {
      const heading = `### ${type}${version === "" ? "" : `, version ${version}`}`;
      parts.push(`${heading}\n\nMore on [its page](${pageOf(type)}).\n`, fieldTable(fields));
    }
  }
  return parts.join("\n");
}

/** The tables on the types' own pages, by name. What all versions have alike stands in one, the rest in one for each. */
export async function pageTables(): Promise<ReadonlyMap<string, string>> {
  const tables = new Map<string, string>();
  for (const type of STORE_TYPES) {
    const versions = versionsOf(await driverOf(type)).map(([version, fields]) => ({ version, rows: rowsOf(fields) }));
    const isShared = (row: Row): boolean => versions.every(({ rows }) => rows.some((each) => isSame(each, row)));
    tables.set(`fields of ${type}`, rowTable(versions[0]?.rows.filter(isShared) ?? []));
    for (const { version, rows } of versions) {
      const own = rows.filter((row) => !isShared(row));
      if (own.length > 0) tables.set(`fields of ${type}, version ${version} alone`, rowTable(own));
    }
  }
  return tables;
}

async function driverOf(type: string): Promise<StoreDriver> {
  const driver = await loadDriver(type);
  if (driver === null) throw new Error(`there is no driver for ${type}`);
  return driver;
}

/** One entry without a name where all versions are one. */
function versionsOf({ byVersion, fields }: StoreDriver): readonly [version: string, fields: FieldTable<object>][] {
  if (byVersion === undefined) return [["", fields]];
  return Object.entries(byVersion).map(([version, driver]) => [version, driver.fields]);
}

function rowTable(rows: readonly Row[]): string {
  if (rows.length === 0) return "It has no fields of its own.\n";
  return table(["field", "type", "default", "also called", ""], rows);
}

function rowsOf(fields: FieldTable<object>): readonly Row[] {
  return Object.entries<Field<unknown>>({ ...fields }).map(([name, field]) => [
    `\`${name}\``,
    field.secret ? `${field.kind}, secret` : field.kind,
    defaultOf(field),
    field.aliases.map((alias) => `\`${alias}\``).join(", "),
    field.ignored === null ? field.doc : `No effect: ${field.ignored}.`,
  ]);
}

/** Empty for a field without effect. */
function defaultOf(field: Field<unknown>): string {
  if (field.required) return "required";
  if (field.ignored !== null) return "";
  return field.shownDefault ?? (shownDefault(field.kind, field.fallback) || "none");
}

function isSame(one: Row, other: Row): boolean {
  return one.length === other.length && one.every((cell, index) => cell === other[index]);
}
