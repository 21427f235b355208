import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load } from "js-yaml";
import {
  APP_ID_FILE,
  FOLDER,
  keptAppId,
  keptConfiguration,
  keptResources,
  MANIFEST_FILE,
  RESOURCES_FOLDER,
} from "#cli/run/folder.ts";
import { systemRandom } from "#kit/random.ts";

describe("the folder .pannier", () => {
  let cwd: string;
  beforeEach(async () => {
    cwd = await mkdtemp(join(tmpdir(), "pannier-folder-"));
  });
  afterEach(() => rm(cwd, { recursive: true }));

  it("keeps the app id that it made up", async () => {
    const first = await keptAppId(cwd, systemRandom);
    assert.equal(first.made, true);
    assert.match(first.value, /^[a-z]+-[a-z]+-[0-9a-f]{4}$/);
    assert.deepEqual(await keptAppId(cwd, systemRandom), { value: first.value, made: false });
  });

  it("may hold a Configuration, and gets none", async () => {
    assert.deepEqual(await keptConfiguration(cwd), []);
    await mkdir(join(cwd, FOLDER));
    await writeFile(join(cwd, FOLDER, "config.yaml"), "");
    assert.deepEqual(await keptConfiguration(cwd), [join(FOLDER, "config.yaml")]);
  });

  it("makes up one app id when two start at once", async () => {
    const [one, other] = await Promise.all([keptAppId(cwd, systemRandom), keptAppId(cwd, systemRandom)]);
    assert.equal(one.value, other.value);
  });

  for (const [text, wanted] of [
    ["", /holds no app id/],
    ["my.app\n", /got "my\.app", want a name without dots/],
  ] as const) {
    it(`refuses ${JSON.stringify(text)} in the file`, async () => {
      await mkdir(join(cwd, FOLDER));
      await writeFile(join(cwd, APP_ID_FILE), text);
      await assert.rejects(keptAppId(cwd, systemRandom), { name: "RunFailure", message: wanted });
    });
  }

  it("writes a first manifest for SQLite beside it", async () => {
    assert.deepEqual(await keptResources(cwd), { value: RESOURCES_FOLDER, made: true });
    assert.deepEqual(load(await readFile(join(cwd, MANIFEST_FILE), "utf8")), {
      apiVersion: "dapr.io/v1alpha1",
      kind: "Component",
      metadata: { name: "statestore" },
      spec: {
        type: "state.sqlite",
        version: "v1",
        metadata: [
          { name: "connectionString", value: ".pannier/state.db" },
          { name: "actorStateStore", value: "true" },
        ],
      },
    });
  });

  it("shows in the manifest how to move to Redis: the comment is YAML of a spec", async () => {
    await keptResources(cwd);
    const text = await readFile(join(cwd, MANIFEST_FILE), "utf8");
    const comment = text.slice(text.indexOf("# spec:")).replaceAll(/^# ?/gm, "");
    const moved = `${text.slice(0, text.indexOf("spec:"))}${comment}`;
    assert.deepEqual((load(moved) as { spec: unknown }).spec, {
      type: "state.redis",
      version: "v1",
      metadata: [
        { name: "redisHost", value: "localhost:6379" },
        { name: "redisPassword", value: "" },
      ],
    });
  });

  it("leaves an edited manifest and others as they are", async () => {
    await keptResources(cwd);
    await writeFile(join(cwd, MANIFEST_FILE), "edited");
    assert.deepEqual(await keptResources(cwd), { value: RESOURCES_FOLDER, made: false });
    assert.equal(await readFile(join(cwd, MANIFEST_FILE), "utf8"), "edited");
    await rm(join(cwd, MANIFEST_FILE));
    await writeFile(join(cwd, RESOURCES_FOLDER, "mine.yml"), "");
    assert.equal((await keptResources(cwd)).made, false);
    assert.deepEqual(await readdir(join(cwd, RESOURCES_FOLDER)), ["mine.yml"]);
  });

  const manifest = '{"apiVersion": "dapr.io/v1alpha1", "kind": "Component", "metadata": {"name": "statestore"}}';
  for (const [what, name, content, made] of [
    ["a manifest in JSON", "mine.json", manifest, false],
    ["JSON that is broken on the way to a manifest", "mine.json", manifest.slice(0, -1), false],
    ["a file of secrets", "secrets.json", '{"redisPassword": "x"}', true],
    ["what an editor left", ".mine.yaml", manifest, true],
    ["a file of another kind", "README.md", "", true],
  ] as const) {
    it(`${made ? "writes" : "does not write"} a manifest beside ${what}`, async () => {
      await mkdir(join(cwd, RESOURCES_FOLDER), { recursive: true });
      await writeFile(join(cwd, RESOURCES_FOLDER, name), content);
      assert.equal((await keptResources(cwd)).made, made);
    });
  }

  it("says what is wrong with a folder that cannot be read", async () => {
    await mkdir(join(cwd, FOLDER));
    await writeFile(join(cwd, RESOURCES_FOLDER), "a file");
    await assert.rejects(keptResources(cwd), { name: "RunFailure", message: /cannot read .*components/ });
  });

  it("says what to do when it cannot be written", async () => {
    await writeFile(join(cwd, FOLDER), "a file");
    await assert.rejects(keptAppId(cwd, systemRandom), {
      name: "RunFailure",
      message: /cannot make .*pass --app-id/,
    });
    await assert.rejects(keptResources(cwd), { name: "RunFailure" });
  });
});
