// What the store pages show for looking into a store: the command as printed there, against what a sidecar has written.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { redisMissing, startRedis } from "#test/servers/redis.ts";
import { save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

const missing = redisMissing();

/** The words of the page's one shell block, as a shell cuts them. */
async function wordsOn(page: string): Promise<string[]> {
  const [block, ...more] = readPage(page).blocks.filter(({ language }) => language === "sh");
  assert.deepEqual([block !== undefined, more], [true, []]);
  const script = `for word in ${block?.text.trim()}; do printf '%s\\n' "$word"; done`;
  return (await promisify(execFile)("sh", ["-ec", script])).stdout.trimEnd().split("\n");
}

describe("a look into the store", () => {
  let folder: string;
  let wire: WireSidecar | null = null;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-layouts-"));
  });
  afterEach(async () => {
    await wire?.stop();
    wire = null;
    await rm(folder, { recursive: true });
  });

  it("shows the rows of state.sqlite", async () => {
    const [program, file = "", sql = ""] = await wordsOn("docs/stores/sqlite.md");
    assert.equal(program, "sqlite3");
    const path = join(folder, file);
    await mkdir(dirname(path));
    wire = await startWire({
      manifests: { "a.yaml": component("statestore", "state.sqlite", { connectionString: path }) },
    });
    await save(wire, "k", '{"a": 1}');
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      assert.deepEqual(
        { ...database.prepare(sql).get() },
        { key: "wire||k", value: '{"a": 1}', expiration_time: null },
      );
    } finally {
      database.close();
    }
  });

  (missing === null ? it : it.skip)(
    `shows the hash of state.redis${missing === null ? "" : `, not run: ${missing}`}`,
    async () => {
      const [program, command = "", ...args] = await wordsOn("docs/stores/redis.md");
      assert.equal(program, "redis-cli");
      const [appId = "", key = ""] = args[0]?.split("||") ?? [];
      const server = await startRedis();
      const client = new Redis({ host: server.host, port: server.port, lazyConnect: true });
      try {
        const redisHost = `${server.host}:${server.port}`;
        wire = await startWire({
          manifests: { "a.yaml": component("statestore", "state.redis", { redisHost }) },
          settings: { appId },
        });
        await save(wire, key, '{"a": 1}');
        assert.deepEqual(await client.call(command, ...args), ["data", '{"a": 1}', "version", "1"]);
      } finally {
        client.disconnect();
        await wire?.stop();
        wire = null;
        await server.stop();
      }
    },
  );
});
