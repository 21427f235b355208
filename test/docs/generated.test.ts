import assert from "node:assert/strict";
import { DENIED, SKIPPED } from "#operator/inject/reasons.ts";
import { generatedPages } from "../../docs/generate.ts";
import { readPage } from "./pages.ts";

describe("generated tables in the docs", () => {
  it("are as `npm run docs` makes them", async () => {
    const pages = await generatedPages();
    assert.ok(pages.size >= 2);
    for (const [name, text] of pages) assert.equal(readPage(`docs/${name}`).text, text);
  });

  it("hold a row for every annotation and every field", async () => {
    const pages = await generatedPages();
    const rows = (name: string): number => [...(pages.get(name) ?? "").matchAll(/^\| `/gm)].length;
    assert.ok(rows("annotations.md") > 60);
    assert.ok(rows("components.md") > 60);
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
