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
import { redisStack, redisStackMissing } from "#test/servers/redis-stack.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

const missing = redisMissing();
const withoutStack = redisStackMissing();
const INDEXED_WITHIN_MS = 10_000;

/** The words of one of the page's shell blocks, which are so many, as a shell cuts them. */
async function wordsOn(page: string, { block, of }: { block: number; of: number }): Promise<string[]> {
  const blocks = readPage(page).blocks.filter(({ language }) => language === "sh");
  assert.equal(blocks.length, of);
  const script = `for word in ${blocks[block]?.text.trim()}; do printf '%s\\n' "$word"; done`;
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
    const [program, file = "", sql = ""] = await wordsOn("docs/stores/sqlite.md", { block: 0, of: 1 });
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
      const [program, command = "", ...args] = await wordsOn("docs/stores/redis.md", { block: 0, of: 3 });
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

  (withoutStack === null ? it : it.skip)(
    `shows the documents of state.redis and finds them by an index${withoutStack === null ? "" : `, not run: ${withoutStack}`}`,
    async () => {
      const [, get = "", name = ""] = await wordsOn("docs/stores/redis.md", { block: 1, of: 3 });
      const [, search = "", ...args] = await wordsOn("docs/stores/redis.md", { block: 2, of: 3 });
      const [appId = "", key = ""] = name.split("||");
      const [manifest] = readPage("docs/stores/redis.md").blocks.filter(({ text }) => text.includes("queryIndexes"));
      const server = await startRedis(redisStack());
      const client = new Redis({ host: server.host, port: server.port, lazyConnect: true });
      try {
        const here = manifest?.text.replace("localhost:6379", `${server.host}:${server.port}`) ?? "";
        wire = await startWire({ manifests: { "a.yaml": here }, settings: { appId } });
        const order = { key, value: { state: "CA", total: 7 }, metadata: { contentType: "application/json" } };
        assert.equal((await ask(wire, "POST", STORE, [order])).status, 204);
        const text = '{"data":{"state":"CA","total":7},"version":1}';
        assert.equal(await client.call(get, name), text);
        const end = Date.now() + INDEXED_WITHIN_MS;
        const found = async (): Promise<string> => JSON.stringify(await client.call(search, ...args));
        while (!(await found()).includes(name)) assert.ok(Date.now() < end, "no index finds it");
        assert.match(await found(), /"\$\.data","{\\"state\\":\\"CA\\",\\"total\\":7}","\$\.version","1"/);
      } finally {
        client.disconnect();
        await wire?.stop();
        wire = null;
        await server.stop();
      }
    },
  );
});
