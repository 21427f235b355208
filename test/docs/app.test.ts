// README's command that starts an app with its sidecar, run from a folder of the app's own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const APP = `
const store = process.env.DAPR_HTTP_ENDPOINT + "/v1.0/state/statestore";
const saved = await fetch(store, { method: "POST", body: JSON.stringify([{ key: "k", value: process.env.APP_ID }]) });
console.log(saved.status, await (await fetch(store + "/k")).text());
`;

describe("README's way to start an app", () => {
  it("gives the app a sidecar that serves, and ends with it", async () => {
    const readme = await readFile(join(ROOT, "README.md"), "utf8");
    const line = /^\/path\/to\/pannier\/.*$/m.exec(readme)?.[0] ?? "";
    const [program = "", ...args] = line.replaceAll("/path/to/pannier", ROOT).split(" ");
    const folder = await mkdtemp(join(tmpdir(), "pannier-app-"));
    try {
      await writeFile(join(folder, "app.js"), APP);
      await writeFile(join(folder, "package.json"), '{"type":"module"}');
      const { stdout } = await promisify(execFile)(program, args, { cwd: folder });
      assert.match(stdout, /== APP == 204 "orders"/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
