// What the store pages show for looking into a store: the command as printed there, against what a sidecar has written.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
const INDEXED_WITHIN_MS = 30_000;

/**
 * The commands of the page's shell blocks in their order, without the program's name: a shell runs the blocks, with a
 * program of that name that tells what it is given.
 */
async function commandsOn(page: string, program: string, folder: string): Promise<readonly (readonly string[])[]> {
  const bin = join(folder, "bin");
  await mkdir(bin);
  await writeFile(join(bin, program), "#!/bin/sh\nprintf '%s\\0' \"$@\"\nprintf '\\1'\n", { mode: 0o755 });
  const blocks = readPage(page).blocks.filter(({ language }) => language === "sh");
  const script = blocks.map(({ text }) => text).join("");
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  const { stdout } = await promisify(execFile)("sh", ["-ec", script], { env });
  return stdout
    .split("\u0001")
    .slice(0, -1)
    .map((command) => command.split("\0").slice(0, -1));
}

/** What redis-cli prints for a command, in the order of the texts where the server gives none. */
async function answerOf(client: Redis, [command = "", ...args]: readonly string[]): Promise<unknown> {
  if (command === "KEYS") return ((await client.call(command, ...args)) as string[]).sort();
  if (command !== "--scan") return await client.call(command, ...args);
  assert.equal(args[0], "--pattern");
  const found: string[] = [];
  for await (const keys of client.scanStream({ match: args[1] ?? "" })) found.push(...(keys as string[]));
  return found.sort();
}

/** Two actors of an application, with an age each. */
async function saveActors(wire: WireSidecar): Promise<void> {
  for (const [id, age] of [
    ["leroy", 4],
    ["rex", 7],
  ] as const) {
    const changes = [{ operation: "upsert", request: { key: "age", value: age } }];
    const { status } = await ask(wire, "POST", `/v1.0/actors/mypets/${id}/state`, changes);
    assert.equal(status, 204);
  }
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

  it("shows the rows of state.sqlite, the keys of an application, an actor, and an average over actors", async () => {
    const page = "docs/stores/sqlite.md";
    const commands = await commandsOn(page, "sqlite3", folder);
    const [manifest = ""] = readPage(page).blocks.flatMap(({ language, text }) => (language === "yaml" ? [text] : []));
    const file = /name: connectionString\n +value: (.+)/.exec(manifest)?.[1] ?? "";
    const path = join(folder, file);
    const here = manifest.replace(file, `${path}\n    - name: actorStateStore\n      value: "true"`);
    wire = await startWire({ manifests: { "a.yaml": here }, settings: { appId: "myapp" } });
    await save(wire, "order", '{"a": 1}');
    await saveActors(wire);
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      const answers = commands.map(([name, sql = ""]) => {
        assert.equal(name, file);
        return database
          .prepare(sql)
          .all()
          .map((row) => ({ ...row }));
      });
      const keys = ["myapp||mypets||leroy||age", "myapp||mypets||rex||age", "myapp||order"];
      assert.deepEqual(answers, [
        [
          { key: "myapp||order", value: '{"a": 1}', expiration_time: null },
          { key: "myapp||mypets||leroy||age", value: "4", expiration_time: null },
          { key: "myapp||mypets||rex||age", value: "7", expiration_time: null },
        ],
        keys.map((key) => ({ key, expiration_time: null })),
        [{ key: "myapp||mypets||leroy||age", value: "4" }],
        [{ average: 5.5 }],
      ]);
    } finally {
      database.close();
    }
  });

  (missing === null ? it : it.skip)(
    `shows the hashes of state.redis, the keys of an application, an actor, and an average over actors${missing === null ? "" : ` (not run: ${missing})`}`,
    async () => {
      const commands = (await commandsOn("docs/stores/redis.md", "redis-cli", folder)).slice(0, -2);
      const server = await startRedis();
      const client = new Redis({ host: server.host, port: server.port, lazyConnect: true });
      try {
        const redisHost = `${server.host}:${server.port}`;
        wire = await startWire({
          manifests: { "a.yaml": component("statestore", "state.redis", { redisHost, actorStateStore: "true" }) },
          settings: { appId: "orders-app" },
        });
        await save(wire, "order-1", '{"a": 1}');
        await saveActors(wire);
        await client.set("another-app||order-1", "no number");
        const answers: unknown[] = [];
        for (const command of commands) answers.push(await answerOf(client, command));
        const [leroy, rex] = ["orders-app||mypets||leroy||age", "orders-app||mypets||rex||age"];
        const keys = [leroy, rex, "orders-app||order-1"];
        assert.deepEqual(answers, [
          ["data", '{"a": 1}', "version", "1"],
          keys,
          keys,
          [leroy],
          ["data", "4", "version", "1"],
          "5.5",
        ]);
      } finally {
        client.disconnect();
        await wire?.stop();
        wire = null;
        await server.stop();
      }
    },
  );

  (withoutStack === null ? it : it.skip)(
    `shows the documents of state.redis and finds them by an index${withoutStack === null ? "" : ` (not run: ${withoutStack})`}`,
    async () => {
      const commands = await commandsOn("docs/stores/redis.md", "redis-cli", folder);
      const [[get = "", name = ""] = [], [search = "", ...args] = []] = commands.slice(-2);
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
