// Writes the tables in docs/ and in README.md that are made from tables in code: `npm run docs`. Each stands between two marks; all around it is written by hand. A test compares.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ANNOTATIONS, ANNOTATIONS_WITHOUT_EFFECT, type Annotation } from "#crds/annotations.ts";
import type { Field, FieldTable } from "#crds/fields.ts";
import { formatMs } from "#kit/duration.ts";
import { OPERATOR_FLAGS } from "#operator/flags.ts";
import { coreFields } from "#sidecar/components/core-fields.ts";
import { loadDriver, STORE_TYPES } from "#sidecar/stores/registry.ts";
import type { StoreDriver } from "#sidecar/stores/store.ts";
import { storeTable, subjectTable } from "#test/conformance/tables.ts";

const PAGES = ["README.md", "docs/annotations.md", "docs/components.md", "docs/operator.md", "docs/stores.md"];
const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The pages' texts with their tables made anew, by path. */
export async function generatedPages(): Promise<ReadonlyMap<string, string>> {
  const tables = new Map<string, string>([
    ["annotations", annotationTable()],
    ["annotations without effect", withoutEffectTable()],
    ["core fields", fieldTable(coreFields)],
    ["fields of the stores", await storeTables()],
    ["operator flags", operatorFlagTable()],
    ["stores", storeTable()],
    ["what ran against what", subjectTable()],
  ]);
  return new Map(PAGES.map((name) => [name, filled(readFileSync(ROOT + name, "utf8"), tables)]));
}

const REGION = /(<!-- made by npm run docs: (.+) -->\n)[\s\S]*?(<!-- end -->)/g;

function filled(page: string, tables: ReadonlyMap<string, string>): string {
  return page.replaceAll(REGION, (_, start: string, name: string, end: string) => {
    const table = tables.get(name);
    if (table === undefined) throw new Error(`there is no table ${name}`);
    return `${start}\n${table}\n${end}`;
  });
}

function operatorFlagTable(): string {
  const rows = Object.entries(OPERATOR_FLAGS).map(([name, { placeholder, shownDefault, doc }]) => [
    `\`--${name}${placeholder === "" ? "" : ` ${placeholder}`}\``,
    shownDefault === "" ? "" : `\`${shownDefault}\``,
    doc,
  ]);
  return table(["flag", "default", ""], rows);
}

function annotationTable(): string {
  const rows = Object.entries<Annotation<unknown>>(ANNOTATIONS).map(([name, each]) => [
    each.own ? `\`pannier.io/${name}\`` : `\`${name}\``,
    each.kind,
    shownDefault(each.kind, each.fallback),
    each.becomes,
    each.doc,
  ]);
  return table(["annotation", "type", "default", "sets", ""], rows);
}

function withoutEffectTable(): string {
  const rows = Object.entries(ANNOTATIONS_WITHOUT_EFFECT).map(([name, why]) => [`\`${name}\``, why]);
  return table(["annotation", "why"], rows);
}

async function storeTables(): Promise<string> {
  const parts: string[] = [];
  for (const type of STORE_TYPES) {
    const driver = await loadDriver(type);
    if (driver === null) throw new Error(`there is no driver for ${type}`);
    for (const [version, fields] of versionsOf(driver)) {
      const page = `stores/${type.replace("state.", "")}.md`;
      parts.push(`### ${type}${version}\n\nMore on [its page](${page}).\n`, fieldTable(fields));
    }
  }
  return parts.join("\n");
}

function versionsOf({ byVersion, fields }: StoreDriver): [string, FieldTable<object>][] {
  if (byVersion === undefined) return [["", fields]];
  return Object.entries(byVersion).map(([version, driver]) => [`, version ${version}`, driver.fields]);
}

function fieldTable(fields: FieldTable<object>): string {
  const entries = Object.entries<Field<unknown>>({ ...fields });
  if (entries.length === 0) return "It has no fields of its own.\n";
  const rows = entries.map(([name, field]) => [
    `\`${name}\``,
    field.kind,
    field.required ? "required" : shownDefault(field.kind, field.fallback),
    field.aliases.map((alias) => `\`${alias}\``).join(", "),
    field.ignored === null ? field.doc : `No effect: ${field.ignored}.`,
  ]);
  return table(["field", "type", "default", "also called", ""], rows);
}

/** A duration is in milliseconds here; empty where nothing is the default. */
function shownDefault(kind: string, fallback: unknown): string {
  if (fallback === null || fallback === "" || (Array.isArray(fallback) && fallback.length === 0)) return "";
  return kind === "duration" && typeof fallback === "number" ? `\`${formatMs(fallback)}\`` : `\`${String(fallback)}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `|${cells.map((cell) => (cell === "" ? " " : ` ${cell} `)).join("|")}|`;
  const lines = rows.map((cells) => line(cells.map((cell) => cell.replaceAll("|", "\\|"))));
  return `${[line(head), `|${"---|".repeat(head.length)}`, ...lines].join("\n")}\n`;
}

if (import.meta.main) for (const [name, text] of await generatedPages()) writeFileSync(ROOT + name, text);
