import assert from "node:assert/strict";
import { parsePage } from "./pages.ts";

const TEXT = `# Two words, \`one\` sign

See [there](other.md#part) and \`--flag\`.

<!-- wrong on purpose -->

\`\`\`yaml
a: \`no span\`
\`\`\`

\`\`\`sh
curl x
\`\`\`
`;

describe("the reader of pages", () => {
  const page = parsePage("x.md", TEXT);

  it("finds blocks with their line, language and mark", () => {
    assert.deepEqual(
      page.blocks.map(({ line, language, text, wrongOnPurpose }) => [line, language, text, wrongOnPurpose]),
      [
        [7, "yaml", "a: `no span`\n", true],
        [11, "sh", "curl x\n", false],
      ],
    );
  });

  it("finds code, links and headings outside of blocks", () => {
    assert.deepEqual([page.spans, page.links], [["one", "--flag"], ["other.md#part"]]);
    assert.deepEqual([...page.anchors], ["two-words-one-sign"]);
  });

  it("refuses a block without an end", () => {
    assert.throws(() => parsePage("x.md", "```sh\n"), /x\.md:1: nothing closes/);
  });
});
