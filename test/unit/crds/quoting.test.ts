// Warnings about scalars that lose their text.
import assert from "node:assert/strict";
import { readManifest } from "#crds/manifest.ts";
import { quotingFaults } from "#crds/quoting.ts";
import { describeFault } from "#kit/fault.ts";

function warnings(text: string, mayShow: (name: string) => boolean = () => true): string[] {
  const [document] = readManifest(text).documents;
  assert.ok(document);
  return quotingFaults(document, mayShow).map(({ fault, line }) => `${line} ${fault.severity} ${describeFault(fault)}`);
}

const entry = (name: string, value: string): string => `spec:\n  metadata:\n  - name: ${name}\n    value: ${value}\n`;

describe("a quoting warning", () => {
  it("names both texts and the line", () => {
    assert.deepEqual(warnings(entry("redisDB", "0123")), [
      '4 warning redisDB: got "0123", want quotes around it: it is read as "83"; write "0123" if that text is meant',
    ]);
  });

  it("says for a number beyond 2^53 what other readers make of it", () => {
    assert.match(
      warnings(entry("limit", "9007199254740993"))[0] ?? "",
      /other readers of YAML make it "9007199254740992"/,
    );
  });

  it("shows no text of a field that may not be shown, nor of one without a name", () => {
    for (const name of ["redisPasword", "1", ""]) {
      const [warning] = warnings(entry(name, "0123"), () => name !== "redisPasword");
      assert.match(warning ?? "", /without them its text changes/);
      assert.doesNotMatch(warning ?? "", /0123|83/);
    }
  });

  it("shows no text inside a value that may not be shown", () => {
    const [warning] = warnings(entry("x", "{ pin: 0123 }"), () => false);
    assert.match(warning ?? "", /without them its text changes/);
    assert.doesNotMatch(warning ?? "", /0123|83/);
  });

  it("is drawn by names, versions and scopes too, not by booleans that are meant", () => {
    const text = "metadata: {name: 010}\nspec: {version: 1.10, ignoreErrors: yes}\nscopes: [on]\n";
    assert.deepEqual(
      warnings(text).map((line) => line.split(" ")[2]),
      ["metadata.name:", "spec.version:", "scopes[0]:"],
    );
  });

  it("is not drawn by quoted text or plain text that stays", () => {
    assert.deepEqual(warnings(`${entry("a", '"0123"')}  - {name: b, value: true}\n  - {name: c, value: v1}\n`), []);
  });
});
