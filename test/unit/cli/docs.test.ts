import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { CHECK_FLAGS } from "#cli/check-verb.ts";
import { INJECT_FLAGS } from "#cli/inject-flags.ts";
import { RUN_FLAGS, RUN_FLAGS_WITHOUT_EFFECT } from "#cli/run/flags.ts";
import { DAPRD_FLAGS } from "#sidecar/daprd-flags.ts";

// The formatter pads the cells of a table.
const page = readFileSync(new URL("../../../docs/cli.md", import.meta.url), "utf8").replaceAll(/ +/g, " ");

describe("docs/cli.md", () => {
  for (const [name, flag] of Object.entries(DAPRD_FLAGS)) {
    it(`describes --${name} with its default`, () => {
      const placeholder = flag.placeholder === "" ? "" : ` ${flag.placeholder}`;
      const escaped = flag.doc.replaceAll("*", "\\*");
      assert.ok(
        page.includes(
          `| \`--${name}${placeholder}\` | ${flag.shownDefault === "" ? "" : `${flag.shownDefault} `}| ${escaped} |`,
        ),
      );
    });
  }

  for (const [name, flag] of Object.entries(INJECT_FLAGS).filter(([name]) => name !== "help")) {
    it(`describes --${name} of inject with its default`, () => {
      const placeholder = flag.placeholder === "" ? "" : ` ${flag.placeholder}`;
      const cells = [flag.short === null ? "" : `\`-${flag.short}\``, flag.shownDefault, flag.doc];
      const row = cells.map((cell) => (cell === "" ? "" : `${cell} `)).join("| ");
      assert.ok(page.includes(`| \`--${name}${placeholder}\` | ${row}|`), row);
    });
  }

  for (const [name, flag] of Object.entries(RUN_FLAGS).filter(([, { short }]) => short !== null)) {
    it(`names -${flag.short} for --${name}`, () => {
      assert.ok(page.includes(`| \`--${name}\` | \`-${flag.short}\` |`));
    });
  }

  it("names every other flag", () => {
    const names = [...Object.keys(RUN_FLAGS_WITHOUT_EFFECT), ...Object.keys(CHECK_FLAGS)];
    assert.deepEqual(
      names.filter((name) => !page.includes(`--${name}`)),
      [],
    );
  });
});
