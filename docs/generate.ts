// Writes the tables in docs/ and in README.md that are made from tables in code: `npm run docs`. Each stands between two marks; all around it is written by hand. A test compares.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ANNOTATIONS, ANNOTATIONS_WITHOUT_EFFECT, type Annotation } from "#crds/annotations.ts";
import { OPERATOR_FLAGS } from "#operator/flags.ts";
import { coreFields } from "#sidecar/components/core-fields.ts";
import { STORE_TYPES } from "#sidecar/stores/registry.ts";
import { committedRecords } from "#test/conformance/record.ts";
import { storeTable, subjectTable } from "#test/conformance/tables.ts";
import { fieldTable, pageOf, pageTables, storeTables } from "./field-tables.ts";
import { shownDefault, table } from "./table.ts";

const PAGES = [
  "README.md",
  "docs/annotations.md",
  "docs/components.md",
  "docs/operator.md",
  "docs/stores.md",
  ...STORE_TYPES.map((type) => `docs/${pageOf(type)}`),
];
const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The pages' texts with their tables made anew, by path. */
export async function generatedPages(): Promise<ReadonlyMap<string, string>> {
  const records = committedRecords();
  const tables = new Map<string, string>([
    ["annotations", annotationTable()],
    ["annotations without effect", withoutEffectTable()],
    ["core fields", fieldTable(coreFields)],
    ["fields of the stores", await storeTables()],
    ["operator flags", operatorFlagTable()],
    ["stores", storeTable(records)],
    ["what ran against what", subjectTable(records)],
    ...(await pageTables()),
  ]);
  const pages = new Map(PAGES.map((name) => [name, readFileSync(ROOT + name, "utf8")]));
  const placed = new Set([...pages.values()].flatMap((page) => [...page.matchAll(REGION)].map(([, , name]) => name)));
  for (const name of tables.keys()) if (!placed.has(name)) throw new Error(`no page has the table ${name}`);
  return new Map([...pages].map(([path, page]) => [path, filled(page, tables)]));
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

/** Writes them. */
export async function writePages(): Promise<void> {
  for (const [name, text] of await generatedPages()) writeFileSync(ROOT + name, text);
}

if (import.meta.main) await writePages();
