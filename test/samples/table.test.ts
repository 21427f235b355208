// docs/samples.md and the tests of this folder hold the same rows.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { ROOT, readPage } from "#test/docs/pages.ts";

/** A row that no test can have says this in its last column. */
const NO_TEST = "nothing to send: ";

describe("docs/samples.md", () => {
  const rows = [...readPage("docs/samples.md").text.matchAll(/^\| ([a-z]+-\d+) +\|.*\| (.*?) +\|$/gm)].map(
    ([, id = "", last = ""]) => ({ id, last }),
  );

  it("has no number twice, and none missing", () => {
    assert.ok(rows.length > 60);
    const next = new Map<string, number>();
    for (const { id } of rows) {
      const [group = "", number] = id.split("-");
      const expected = (next.get(group) ?? 0) + 1;
      assert.equal(Number(number), expected, id);
      next.set(group, expected);
    }
  });

  it("has a test for every row that sends something, and every such test has a row", () => {
    const folder = `${ROOT}test/samples/`;
    const tested = readdirSync(folder).flatMap((name) =>
      [...readFileSync(folder + name, "utf8").matchAll(/\bit\(["`]([a-z]+-\d+): /g)].map((match) => match[1] ?? ""),
    );
    const sent = rows.filter(({ last }) => !last.startsWith(NO_TEST)).map(({ id }) => id);
    assert.deepEqual([...new Set(tested)].sort(), [...sent].sort());
  });
});
