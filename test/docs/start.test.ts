// The README's first command and what it leads to, from a copy of what a clone holds. `npm ci` is not run again: it made
// the node_modules that this very test runs from, and the copy gets a link to them.
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { eventually } from "#test/cli/pannier.ts";
import { freePort } from "#test/servers/free-port.ts";
import { type RedisServer, redisMissing, startRedis } from "#test/servers/redis.ts";
import { ROOT } from "./pages.ts";

const run = promisify(execFile);
const missing = redisMissing();
const MANIFEST = ".pannier/components/statestore.yaml";
/** For curl: an error status is an error, and nothing but the answer is printed. */
const CURL_SETTINGS = "fail-with-body\nsilent\nshow-error\n";

describe("npm start in a clean copy", function () {
  this.timeout(120_000);

  let folder: string;
  let copy: string;
  let env: Record<string, string>;
  let npm: ChildProcess;
  /** The process group of npm and of all that it starts. */
  let group: number;
  let ended: Promise<number | string | null>;
  let printed = "";
  let curlLines: string[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-clone-"));
    copy = join(folder, "pannier");
    // With what is not committed yet: before a commit this test has to see what it will see after it.
    const listed = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: ROOT });
    // A link named node_modules is none of the folders that git is told to pass over.
    const isSource = (path: string): boolean => path !== "" && path !== "node_modules" && existsSync(ROOT + path);
    const paths = listed.stdout.split("\0").filter(isSource);
    for (const path of paths) await cp(ROOT + path, join(copy, path));
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    await writeFile(join(folder, ".curlrc"), CURL_SETTINGS);
    // A newcomer's PATH: without what npm puts before it for this test, so that `node` is the machine's own.
    const path = (process.env.PATH ?? "").split(":").filter((each) => !each.includes("node_modules"));
    env = { PATH: path.join(":"), HOME: folder, CURL_HOME: folder };
    const args = ["start", "--", "--dapr-http-port", String(await freePort())];
    // In a process group of its own, as a shell starts it: Ctrl-C reaches all of it.
    npm = spawn("npm", args, { cwd: copy, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    await once(npm, "spawn");
    assert.ok(npm.pid !== undefined);
    group = npm.pid;
    ended = new Promise((resolve) => npm.on("close", (code, signal) => resolve(code ?? signal)));
    for (const stream of [npm.stdout, npm.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        printed += chunk.toString();
      });
    }
  });

  after(async () => {
    if (groupIsAlive()) process.kill(-group, "SIGKILL");
    await ended;
    await rm(folder, { recursive: true });
  });

  function groupIsAlive(): boolean {
    try {
      process.kill(-group, 0);
      return true;
    } catch {
      // ESRCH: the group has no process any more.
      return false;
    }
  }

  const curl = async (line: string): Promise<string> => (await run("sh", ["-c", line], { env })).stdout;

  it("prints where it serves, and two lines to copy", async () => {
    await eventually("the banner", () => {
      assert.ok(npm.exitCode === null, printed);
      return /^ {2}curl [^\n]*\n {2}curl [^\n]*\n/m.test(printed);
    });
    curlLines = [...printed.matchAll(/^ {2}(curl .*)$/gm)].map((match) => match[1] ?? "");
    assert.equal(curlLines.length, 2);
  });

  it("saves and reads by the two lines as they are printed", async () => {
    const [saveLine = "", readLine = ""] = curlLines;
    assert.equal(await curl(saveLine), "");
    assert.equal(await curl(readLine), '"hello"');
  });

  (missing === null ? it : it.skip)(
    `moves to Redis when the manifest is edited, without a restart${missing === null ? "" : ` (not run: ${missing})`}`,
    async () => {
      const server = await startRedis();
      const client = new Redis({ host: server.host, port: server.port, lazyConnect: true });
      try {
        await editAsTheFileSays(server);
        const [saveLine = "", readLine = ""] = curlLines;
        // The value is in the file: as long as the old store serves, it is read.
        await eventually("the new store", async () => (await curl(readLine)) === "");
        await curl(saveLine);
        const appId = (await readFile(join(copy, ".pannier/app-id"), "utf8")).trim();
        assert.equal(await client.hget(`${appId}||greeting`, "data"), '"hello"');
        assert.equal(await curl(readLine), '"hello"');
        assert.ok(npm.exitCode === null && printed.match(/is running/g)?.length === 1, printed);
      } finally {
        client.disconnect();
        await server.stop();
      }
    },
  );

  /** Puts the spec that the file holds as a comment in the place of the one that counts, with the server's address. */
  async function editAsTheFileSays(server: RedisServer): Promise<void> {
    const path = join(copy, MANIFEST);
    const [before = "", commented = ""] = (await readFile(path, "utf8")).split("# spec:\n");
    const spec = commented.replaceAll(/^# /gm, "").replace("localhost:6379", `${server.host}:${server.port}`);
    await writeFile(path, `${before.slice(0, before.indexOf("spec:\n"))}spec:\n${spec}`);
  }

  it("ends on Ctrl-C in its own way and leaves nothing running", async () => {
    process.kill(-group, "SIGINT");
    // npm starts the script through `sh`. Some shells become the script's process, and npm gets its exit code; Debian's
    // waits for it and then dies of the signal that it got too, whatever the exit code, and npm with it.
    const code = await ended;
    assert.ok(code === 0 || code === "SIGINT", `${code}: ${printed}`);
    assert.match(printed, /the sidecar has stopped/);
    // Its last process counts until whoever takes orphans has looked at its end.
    await eventually("nothing runs any more", () => !groupIsAlive());
  });
});
