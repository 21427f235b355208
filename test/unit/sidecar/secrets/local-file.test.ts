// secretstores.local.file over real files.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Property } from "#crds/fields.ts";
import { localFile } from "#sidecar/secrets/local-file.ts";
import type { SecretStore } from "#sidecar/secrets/store.ts";

const SECRETS = {
  password: "hunter2",
  sql: { main: "one", deep: { er: "two" } },
  list: ["a", { b: "c" }],
  off: false,
  none: null,
};

describe("a secret store of a local file", () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-secrets-"));
    file = join(folder, "secrets.json");
    await writeFile(file, JSON.stringify(SECRETS));
  });

  afterEach(() => rm(folder, { recursive: true }));

  function open(fields: Readonly<Record<string, string>> = {}): Promise<SecretStore> {
    const properties: Property[] = Object.entries({ secretsFile: file, ...fields }).map(([name, value]) => {
      return { name, value, secret: false };
    });
    const prepared = localFile.prepare(properties);
    assert.deepEqual(prepared.faults, []);
    return prepared.open({ env: {}, inCluster: false });
  }

  it("has each leaf under its joined names", async () => {
    const store = await open();
    assert.deepEqual(await store.get("password"), { password: "hunter2" });
    assert.deepEqual(await store.get("sql:deep:er"), { "sql:deep:er": "two" });
    assert.deepEqual(await store.get("list:0"), { "list:0": "a" });
    assert.deepEqual(await store.get("list:1:b"), { "list:1:b": "c" });
    assert.deepEqual(await store.get("off"), { off: "false" });
    assert.deepEqual(await store.get("none"), { none: "" });
    assert.equal(await store.get("sql"), null);
    assert.equal(await store.get("constructor"), null);
  });

  it("joins with another separator", async () => {
    assert.deepEqual(await (await open({ nestedSeparator: "." })).get("sql.main"), { "sql.main": "one" });
  });

  it("has each member at the top as one secret with keys when it is multi-valued", async () => {
    const store = await open({ multiValued: "true" });
    assert.deepEqual(await store.get("sql"), { main: "one", "deep:er": "two" });
    assert.deepEqual(await store.get("password"), { password: "hunter2" });
    assert.equal(await store.get("sql:main"), null);
  });

  it("keeps numbers as they are written", async () => {
    await writeFile(file, '{"pin": 0.10, "long": 12345678901234567890}');
    const store = await open();
    assert.deepEqual(await store.get("pin"), { pin: "0.10" });
    assert.deepEqual(await store.get("long"), { long: "12345678901234567890" });
  });

  it("keeps a member named __proto__ an ordinary secret", async () => {
    await writeFile(file, '{"__proto__": {"a": "x"}}');
    assert.deepEqual(await (await open()).get("__proto__:a"), { "__proto__:a": "x" });
  });

  const BROKEN = {
    "is missing": null,
    "is no JSON": '{"password": hunter2}',
    "ends too early": '{"password": "hunter2"',
    "holds a list": '["hunter2"]',
    "names two secrets alike": '{"a:b": "hunter2", "a": {"b": "hunter2"}}',
    "is nested too deeply": `${'{"a":'.repeat(40)}"hunter2"${"}".repeat(40)}`,
    "is too large": `{"a": "${"hunter2".repeat(200_000)}"}`,
  };
  for (const [how, content] of Object.entries(BROKEN)) {
    it(`does not open when the file ${how}, and shows nothing of it`, async () => {
      if (content === null) await rm(file);
      else await writeFile(file, content);
      await assert.rejects(open(), (error: unknown) => {
        assert.ok(error instanceof Error);
        assert.equal(error.name, "SecretStoreError");
        assert.match(error.message, /secrets\.json/);
        assert.doesNotMatch(`${error.stack} ${String(error.cause)}`, /hunter2/);
        return true;
      });
    });
  }

  it("does not wait for a FIFO", async () => {
    await rm(file);
    await promisify(execFile)("mkfifo", [file]);
    await assert.rejects(open(), /secretsFile ".*secrets\.json": want a regular file/);
  });

  it("wants a file", () => {
    const { faults } = localFile.prepare([]);
    assert.deepEqual(
      faults.map(({ severity, field }) => [severity, field]),
      [["error", "secretsFile"]],
    );
  });
});
