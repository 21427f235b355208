// The operator as a process, where there is no API server.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "#test/servers/free-port.ts";
import { until } from "#test/wire/until.ts";

const MAIN = fileURLToPath(new URL("../../../operator/main.ts", import.meta.url));
const WITHIN_MS = 120_000;

describe("the operator's process", () => {
  let folder: string;
  let child: ChildProcess;
  let text: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-operator-"));
    const cluster = { server: `https://127.0.0.1:${await freePort()}` };
    const config = {
      "current-context": "c",
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
      users: [{ name: "u", user: {} }],
      clusters: [{ name: "c", cluster }],
    };
    await writeFile(join(folder, "kubeconfig"), JSON.stringify(config));
  });
  after(() => rm(folder, { recursive: true }));
  afterEach(() => child.kill("SIGKILL"));

  function start(...flags: string[]): void {
    text = "";
    child = spawn(process.execPath, [MAIN, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (text += String(chunk)));
  }

  it("waits for an API server that is not there, and ends with 0 when it is told to", async function () {
    this.timeout(WITHIN_MS);
    start("--namespace=pannier-system", `--kubeconfig=${join(folder, "kubeconfig")}`, "--sidecar-image=x");
    const exit = once(child, "exit");
    const tries = (): number => text.split("no CA yet").length - 1;
    await until("it has tried twice", () => tries() > 1 || child.exitCode !== null);
    assert.equal(child.exitCode, null, text);
    child.kill("SIGTERM");
    assert.deepEqual(await exit, [0, null], text);
  });

  it("ends with 2 and a sentence for a flag that it does not know", async () => {
    start("--no-such-flag");
    assert.deepEqual(await once(child, "close"), [2, null]);
    assert.match(text, /^pannier operator: .*no-such-flag/);
  });
});
