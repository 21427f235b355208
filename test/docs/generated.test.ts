import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import type { Field } from "#crds/fields.ts";
import { DENIED, SKIPPED } from "#operator/inject/reasons.ts";
import { loadDriver, STORE_TYPES } from "#sidecar/stores/registry.ts";
import { generatedPages } from "../../docs/generate.ts";
import { readPage, readPages } from "./pages.ts";

/** The names that a file of the suite takes from its store's subjects. */
const SUBJECTS_IMPORT = new RegExp(["^import \\{([^}]*)\\} ", 'from "\\./(?!suite|case)[a-z-]+\\.ts";'].join(""), "m");

/** A region that `npm run docs` writes. */
const MADE = /<!-- made by npm run docs: .+ -->\n[\s\S]*?<!-- end -->/g;

/** What stands in backticks. */
function spansOf(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
}

describe("generated tables in the docs", () => {
  it("are as `npm run docs` makes them", async () => {
    const pages = await generatedPages();
    assert.ok(pages.size >= 2);
    for (const [name, text] of pages) assert.equal(readPage(name).text, text);
  });

  it("hold a row for every annotation and every field", async () => {
    const pages = await generatedPages();
    const rows = (name: string): number => [...(pages.get(`docs/${name}`) ?? "").matchAll(/^\| `/gm)].length;
    assert.ok(rows("annotations.md") > 60);
    assert.ok(rows("components.md") > 60);
  });

  it("stand on the page of every store, with every field of each version and every other name of it", async () => {
    const pages = await generatedPages();
    for (const type of STORE_TYPES) {
      const path = `docs/stores/${type.replace("state.", "")}.md`;
      const driver = await loadDriver(type);
      assert.ok(driver !== null);
      const rows = (pages.get(path) ?? "").matchAll(/^\| `([^`]+)` \|[^|]*\|[^|]*\|([^|]*)\|/gm);
      const aliases = new Map([...rows].map(([, name = "", cell = ""]) => [name, spansOf(cell)]));
      for (const { fields } of Object.values(driver.byVersion ?? { only: driver }))
        for (const [name, field] of Object.entries<Field<unknown>>({ ...fields }))
          assert.deepEqual(aliases.get(name), field.aliases, `${path}: ${name}`);
    }
  });

  it("are the only tables of fields on the pages of stores", () => {
    for (const { path, text } of readPages().filter((page) => page.path.startsWith("docs/stores/")))
      assert.doesNotMatch(text.replaceAll(MADE, ""), /^\| field \|/m, path);
  });

  it("hold a row for every store that can be loaded, and for every subject of the suite", () => {
    const rows = (path: string): readonly string[] =>
      [...readPage(path).text.matchAll(/^\| \[`(state\.[a-z.-]+)`\]/gm)].map((match) => match[1] ?? "");
    assert.deepEqual([...new Set(rows("README.md"))].sort(), [...STORE_TYPES]);
    assert.deepEqual([...new Set(rows("docs/stores.md"))].sort(), [...STORE_TYPES]);
    const folder = new URL("../conformance/", import.meta.url);
    const run = readdirSync(folder).flatMap((name) => {
      const text = name.endsWith(".test.ts") ? readFileSync(new URL(name, folder), "utf8") : "";
      if (name.startsWith("over-") || !/^ *(for .*)?conformance\(/m.test(text)) return [];
      const [, names = ""] = SUBJECTS_IMPORT.exec(text) ?? [];
      return names
        .split(",")
        .map((each) => each.trim())
        .filter((each) => each !== "");
    });
    const listed = readFileSync(new URL("subjects.ts", folder), "utf8");
    assert.deepEqual(
      run.filter((name) => !listed.includes(`subject: ${name},`)),
      [],
    );
    assert.ok(run.length > 10);
  });

  it("stand on a page that gives every reason for which a pod is refused or left alone", () => {
    const { spans } = readPage("docs/annotations.md");
    const reasons = [...Object.keys(SKIPPED), ...Object.keys(DENIED)];
    assert.deepEqual(
      reasons.filter((reason) => !spans.includes(reason)),
      [],
    );
  });
});
