// Components that move into a file that cannot be used: they stay until it can be. And what is told of such files.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, rename, symlink, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { ComponentHost } from "#sidecar/components/host.ts";
import { Bench, inMemoryManifest, manifest, putV, severalLooks, states, valueIn, waitUntil } from "./bench.ts";

const memory = inMemoryManifest("memory");
const FAULT = "---\na: [\n";

/** A regular file that is there and cannot be read, by root neither where the system has such a one. */
async function putUnreadable(path: string): Promise<void> {
  if (process.platform === "linux") return symlink("/proc/self/mem", path);
  await writeFile(path, memory);
  await chmod(path, 0);
}

describe("a Component that moves to another file", () => {
  let bench: Bench;
  let host: ComponentHost;
  beforeEach(async () => {
    bench = new Bench();
    await bench.setUp();
    await bench.write("a.yaml", memory);
    host = await bench.start();
    await putV(host, "memory");
  });
  afterEach(() => bench.tearDown());

  const path = (name: string): string => join(bench.folder, name);
  const keptLines = (): string[] => bench.lines.filter((line) => /Component memory is kept until/.test(line));

  async function move(content: string | Buffer, name = "b.yaml"): Promise<void> {
    await writeFile(path(name), content);
    await unlink(path("a.yaml"));
    await host.reload();
  }

  it("stays with its data while the new file has a fault in another document, and is ready once it has none", async () => {
    await move(`${memory}${FAULT}`);
    assert.deepEqual(states(host), ["memory kept"]);
    assert.match(host.statuses()[0]?.message ?? "", /b\.yaml cannot be used as it is.*line \d+: /);
    assert.deepEqual(bench.reloads, [["memory", false]]);
    await bench.write("b.yaml", memory);
    await host.reload();
    assert.deepEqual(states(host), ["memory ready"]);
    assert.equal(await valueIn(host, "memory"), "v");
  });

  it("stays too when nobody asks for a reload, and the log says so once", async () => {
    await bench.write("b.yaml", `${memory}${FAULT}`);
    await unlink(path("a.yaml"));
    await waitUntil(() => states(host)[0] === "memory kept");
    await severalLooks();
    await host.reload();
    await bench.write("b.yaml", `${memory}${FAULT}b: ]\n`);
    await host.reload();
    assert.equal(await valueIn(host, "memory"), "v");
    assert.equal(keptLines().length, 1);
    assert.match(keptLines()[0] ?? "", /"level":"warning".*is kept until .*b\.yaml can be used, which may hold it/);
  });

  it("stays when its old file loses it and the new one had another before", async () => {
    await bench.write("b.yaml", manifest("two", "2"));
    await host.reload();
    await bench.write("b.yaml", `${manifest("two", "2")}---\n${memory}${FAULT}`);
    await bench.write("a.yaml", manifest("one", "1"));
    await host.reload();
    assert.deepEqual(states(host), ["memory kept", "two kept", "one ready"]);
    assert.equal(await valueIn(host, "memory"), "v");
  });

  it("stays when the new file was broken without it first, in the same place", async () => {
    await bench.write("b.yaml", `${FAULT}`);
    await host.reload();
    await move(`${FAULT}---\n${memory}`);
    assert.deepEqual(states(host), ["memory kept"]);
  });

  it("stays when it is a secret store", async () => {
    bench.env = { PASSWORD: "hunter2" };
    const vars = memory.replace("memory", "vars").replace("state.in-memory", "secretstores.local.env");
    await bench.write("v.yaml", vars);
    await host.reload();
    await bench.write("b.yaml", `${vars}${FAULT}`);
    await unlink(path("v.yaml"));
    await host.reload();
    assert.deepEqual(states(host), ["vars kept", "memory ready"]);
  });

  const NAMED = {
    "in a flow mapping": `metadata: {name: memory, x: [}\n`,
    "in JSON": `{"metadata": {"name":"memory"}, "spec": [}\n`,
    "with a quote that does not end": `metadata:\n  name: "memory\n`,
    "without the blank after the colon": `metadata:\n  name:memory\n a: [\n`,
    "with an anchor": `metadata:\n  name: &n memory\n a: [\n`,
    "on the next line": `metadata:\n  name:\n    memory\n a: [\n`,
    "under a key in capitals": `metadata:\n  NAME: memory\n a: [\n`,
  };
  for (const [how, content] of Object.entries(NAMED)) {
    it(`stays when the file that cannot be read names it ${how}`, async () => {
      await move(content);
      assert.deepEqual(states(host), ["memory kept"]);
    });
  }

  const NOT_NAMED = {
    "does not name it": `${inMemoryManifest("two")}${FAULT}`,
    "names one whose name begins like it": `${inMemoryManifest("memory-2")}${FAULT}`,
    "has its name as something else": `storeName: memory\nvalue: memory${FAULT}`,
    "has it only as a remark": `${memory.replaceAll(/^/gm, " # ")}\n${FAULT}`,
  };
  for (const [how, content] of Object.entries(NOT_NAMED)) {
    it(`goes when the file that cannot be read ${how}`, async () => {
      await move(content);
      assert.deepEqual(states(host), []);
      assert.equal(keptLines().length, 0);
      assert.equal(host.fileProblems().length, 1);
    });
  }

  it("stays while nobody can tell what a file holds", async () => {
    await move(Buffer.from([0xff, 0xfe, 0xfd]));
    assert.deepEqual(states(host), ["memory kept"]);
    await bench.write("b.yaml", `#${" ".repeat(1024 * 1024)}`);
    await host.reload();
    assert.deepEqual(states(host), ["memory kept"]);
    await unlink(path("b.yaml"));
    await putUnreadable(path("b.yaml"));
    await host.reload();
    assert.deepEqual(states(host), ["memory kept"]);
    assert.match(host.fileProblems()[0]?.problem ?? "", /b\.yaml cannot be read \((EIO|EACCES)\)/);
  });

  it("is not held by what is no file", async () => {
    await promisify(execFile)("mkfifo", [path("b.yaml")]);
    await unlink(path("a.yaml"));
    await host.reload();
    assert.deepEqual(states(host), []);
    assert.match(host.fileProblems()[0]?.problem ?? "", /it is no regular file/);
  });

  it("goes once the file that cannot be read is gone, or is read and does not hold it", async () => {
    await move(`${memory}${FAULT}`);
    await unlink(path("b.yaml"));
    await waitUntil(() => states(host).length === 0);

    await bench.write("a.yaml", memory);
    await host.reload();
    await move(`${memory}${FAULT}`);
    assert.deepEqual(states(host), ["memory kept"]);
    await bench.write("b.yaml", manifest("one", "1"));
    await host.reload();
    assert.deepEqual(states(host), ["one ready"]);
  });

  it("goes, under the same complaint, once the file does not name it any more", async () => {
    await move(`a: [}\n---\n${memory}`);
    assert.deepEqual(states(host), ["memory kept"]);
    await bench.write("b.yaml", "a: [}\n");
    await waitUntil(() => states(host).length === 0);
  });
});

describe("a file that cannot be used", () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.setUp();
  });
  afterEach(() => bench.tearDown());

  const problems = (host: ComponentHost): string[] =>
    host.fileProblems().map(({ file, problem }) => `${file.slice(bench.folder.length)} ${problem}`);

  it("is told with its problem although no Component belongs to it, since when, and until it is mended", async () => {
    const host = await bench.start();
    assert.deepEqual(host.fileProblems(), []);
    const before = Date.now();
    await bench.write("b.yaml", "a: [\n");
    await waitUntil(() => host.fileProblems().length === 1);
    const [first] = host.fileProblems();
    assert.equal(first?.file, join(bench.folder, "b.yaml"));
    assert.match(first.problem, /b\.yaml cannot be used as it is.*line \d+: /);
    assert.ok(first.sinceMs >= before && first.sinceMs <= Date.now());
    await delay(5);
    await bench.write("b.yaml", "\n\na: {\n");
    await host.reload();
    assert.notEqual(host.fileProblems()[0]?.problem, first.problem);
    assert.equal(host.fileProblems()[0]?.sinceMs, first.sinceMs);
    await bench.write("b.yaml", inMemoryManifest("memory"));
    await host.reload();
    assert.deepEqual(host.fileProblems(), []);
    assert.equal(bench.fileProblems.at(-1), 0);
    assert.ok(bench.fileProblems.includes(1));
  });

  it("is told from the start on, while what can be read of it serves", async () => {
    await bench.write("a.yaml", `${inMemoryManifest("memory")}${FAULT}`);
    const host = await bench.start();
    assert.deepEqual(states(host), ["memory ready"]);
    assert.match(problems(host).join(), /^\/a\.yaml .*a\.yaml is used only as far as it can be read: line \d+: /);
    await host.reload();
    await severalLooks();
    assert.deepEqual(states(host), ["memory ready"]);
    assert.equal(host.fileProblems().length, 1);
    await bench.write("a.yaml", inMemoryManifest("memory"));
    await host.reload();
    assert.deepEqual(host.fileProblems(), []);
  });

  it("holds from the start on what it names", async () => {
    await bench.write("a.yaml", inMemoryManifest("memory"));
    await bench.write("b.yaml", "metadata: {name: memory, x: [}\n");
    const host = await bench.start();
    assert.deepEqual(states(host), ["memory ready"]);
    await unlink(join(bench.folder, "a.yaml"));
    await host.reload();
    assert.deepEqual(states(host), ["memory kept"]);
  });

  it("has its Components kept while it cannot be read, and ready when it can be", async () => {
    await bench.write("a.yaml", inMemoryManifest("memory"));
    const host = await bench.start();
    await putV(host, "memory");
    await unlink(join(bench.folder, "a.yaml"));
    await putUnreadable(join(bench.folder, "a.yaml"));
    await waitUntil(() => states(host)[0] === "memory kept");
    await severalLooks();
    assert.equal(bench.lines.filter((line) => /a\.yaml cannot be read/.test(line)).length, 1);
    await bench.write("a.yaml", inMemoryManifest("memory"));
    await waitUntil(() => states(host)[0] === "memory ready");
    assert.equal(await valueIn(host, "memory"), "v");
  });

  it("may be a folder", async () => {
    const host = await bench.start();
    await rename(bench.folder, `${bench.folder}-away`);
    await waitUntil(() => host.fileProblems().length === 1);
    assert.match(host.fileProblems()[0]?.problem ?? "", /folder .* cannot be read \(ENOENT\)/);
    await rename(`${bench.folder}-away`, bench.folder);
    await waitUntil(() => host.fileProblems().length === 0);
    assert.deepEqual(bench.fileProblems, [0, 1, 0]);
  });

  const NO_PROBLEM = {
    empty: "",
    "somebody else's": "version: 1\napps: []\n",
    "another app's": manifest("two", "1", { spec: "  ignoreErrors: perhaps\n", top: "scopes: [other]\n" }),
  };
  for (const [what, content] of Object.entries(NO_PROBLEM)) {
    it(`is not one that is ${what} and has never held anything of ours`, async () => {
      await bench.write("a.yaml", content);
      const host = await bench.start();
      await bench.write("b.yaml", content);
      await host.reload();
      assert.deepEqual(problems(host), []);
    });
  }
});
