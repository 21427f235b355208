// Every manifest that a page shows, judged by the decoder of the sidecar.
import assert from "node:assert/strict";
import { load } from "js-yaml";
import { judge } from "./judgement.ts";
import { readPages } from "./pages.ts";

describe("manifests in the docs", () => {
  const pages = readPages();
  const blocks = pages.flatMap((page) => page.blocks).filter(({ language }) => language === "yaml");
  const manifests = blocks.filter(({ text }) => /^kind: (Component|Resiliency|Configuration)$/m.test(text));

  for (const { page, line, text, wrongOnPurpose } of manifests) {
    if (wrongOnPurpose) {
      it(`${page}:${line} is refused, as the page says`, async () => {
        assert.equal((await judge(text)).code, 1);
      });
    } else {
      it(`${page}:${line} has no fault and draws no warning`, async () => {
        const { code, report } = await judge(text);
        const kind = /^kind: (\w+)$/m.exec(text)?.[1];
        assert.deepEqual([code, report], [0, `1 ${kind} in 1 file: 0 errors, 0 warnings\n`]);
      });
    }
  }

  it("stand on the page of every store", () => {
    const stores = pages.filter(({ path }) => path.startsWith("docs/stores/")).map(({ path }) => path);
    assert.ok(stores.length >= 3);
    assert.deepEqual(
      stores.filter((path) => !manifests.some(({ page }) => page === path)),
      [],
    );
  });

  it("are YAML even where a page shows only a part of one", () => {
    for (const { text } of blocks.filter((block) => !block.wrongOnPurpose)) assert.equal(typeof load(text), "object");
  });
});
