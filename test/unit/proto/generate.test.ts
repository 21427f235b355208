// The generated files are those that the definitions give: nobody edits them, and nobody forgets `npm run proto`.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "#proto/generate.ts";
import { isRequired } from "#test/servers/required.ts";

const KEPT = fileURLToPath(new URL("../../../proto/gen", import.meta.url));

function protocMissing(): string | null {
  if (isRequired("protoc")) return null;
  const { error } = spawnSync("protoc", ["--version"], { stdio: "ignore" });
  return error === undefined ? null : "protoc cannot be run: install it (Debian: apt-get install protobuf-compiler)";
}

function describeWithProtoc(title: string, body: () => void): void {
  const missing = protocMissing();
  if (missing === null) describe(title, body);
  else describe.skip(`${title} (not run: ${missing})`, body);
}

async function readAll(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = await Promise.all(paths.map(async (path) => [path.slice(folder.length), await readFile(path, "utf8")]));
  return Object.fromEntries(texts);
}

describeWithProtoc("proto/gen", () => {
  it("is what npm run proto makes of the definitions", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pannier-proto-"));
    try {
      generate(folder);
      const made = await readAll(folder);
      assert.ok(Object.keys(made).length > 10);
      assert.deepEqual(await readAll(KEPT), made);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
