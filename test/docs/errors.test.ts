// The error codes of docs/errors.md are those that the sources hold, no more and no fewer.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { ROOT, readPage } from "./pages.ts";

describe("docs/errors.md", () => {
  const listed = [...readPage("docs/errors.md").text.matchAll(/^\| `(ERR_[A-Z_]+)`/gm)].map((match) => match[1] ?? "");

  it("lists the codes that HTTP answers carry, each once", () => {
    const folder = `${ROOT}sidecar/http/`;
    const source = readdirSync(folder)
      .map((name) => readFileSync(folder + name, "utf8"))
      .join("\n");
    const codes = new Set([...source.matchAll(/"(ERR_[A-Z_]+)"/g)].map((match) => match[1] ?? ""));
    assert.ok(codes.size > 10);
    assert.deepEqual([...listed].sort(), [...codes].sort());
  });
});
