// Links between the pages lead somewhere, and the README leads to every page.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { ROOT, readPages } from "./pages.ts";

interface Link {
  readonly from: string;
  /** Path from the root. */
  readonly to: string;
  /** Without "#"; "" for the page as a whole. */
  readonly anchor: string;
}

describe("links in the docs", () => {
  const pages = new Map(readPages().map((page) => [page.path, page]));
  const links: readonly Link[] = [...pages.values()].flatMap(({ path, links }) =>
    links
      .filter((target) => !/^[a-z]+:/.test(target))
      .map((target) => {
        const [file = "", anchor = ""] = target.split("#");
        return { from: path, to: file === "" ? path : normalize(join(dirname(path), file)), anchor };
      }),
  );

  it("lead to files that exist", () => {
    assert.ok(links.length > 20);
    const broken = links.filter(({ to }) => !existsSync(ROOT + to)).map(({ from, to }) => `${from}: ${to}`);
    assert.deepEqual(broken, []);
  });

  it("and the tests that README.md names are there", () => {
    const named = [...readFileSync(`${ROOT}README.md`, "utf8").matchAll(/`(test\/[^`]+)`/g)].map(
      (match) => match[1] ?? "",
    );
    assert.ok(named.length > 10);
    assert.deepEqual(
      named.filter((path) => !existsSync(ROOT + path)),
      [],
    );
  });

  it("lead to headings that exist", () => {
    const broken = links
      .filter(({ to, anchor }) => anchor !== "" && pages.get(to)?.anchors.has(anchor) !== true)
      .map(({ from, to, anchor }) => `${from}: ${to}#${anchor}`);
    assert.deepEqual(broken, []);
  });

  it("lead from README.md to every page", () => {
    const reached = new Set(["README.md"]);
    for (const path of reached) for (const { to } of links.filter(({ from }) => from === path)) reached.add(to);
    assert.deepEqual(
      [...pages.keys()].filter((path) => !reached.has(path)),
      [],
    );
  });
});
