import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { REASONS } from "#operator/components/status.ts";

describe("docs/status.md", () => {
  const page = readFileSync(new URL("../../../../docs/status.md", import.meta.url), "utf8");

  for (const [type, reasons] of Object.entries(REASONS)) {
    it(`has every reason of ${type}, and no other`, () => {
      const section = page.split(/^###? /m).find((each) => each.startsWith(`${type}\n`)) ?? "";
      const shown = [...section.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]);
      assert.deepEqual(shown.sort(), [...reasons].sort());
    });
  }
});
