// Changes of files while the sidecar serves. The new store comes first, the old one stays until nobody needs it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, rename, rm, symlink, unlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { ComponentHost } from "#sidecar/components/host.ts";
import {
  Bench,
  clockOf,
  found,
  inMemoryManifest,
  manifest,
  putV,
  SEVERAL_LOOKS_MS,
  severalLooks,
  states,
  valueIn,
  waitUntil,
} from "./bench.ts";

/** By so much a clock is slower than the real one for a test of what must not take long. */
const SLOWER = 4;

const call = { signal: new AbortController().signal };

const makeFifo = (path: string): Promise<unknown> => promisify(execFile)("mkfifo", [path]);

describe("reloading Components", () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.setUp();
  });
  afterEach(() => bench.tearDown());

  const opened = (): string[] => bench.opened.map(({ label, closed }) => `${label}${closed ? " closed" : ""}`);

  async function startWith(content: string, name = "a.yaml"): Promise<ComponentHost> {
    await bench.write(name, content);
    return bench.start();
  }

  it("opens the store of a changed file, swaps it in and closes the old one", async () => {
    const host = await startWith(manifest("one", "1"));
    const before = found(host, "one");
    await bench.write("a.yaml", manifest("one", "2"));
    await waitUntil(() => host.find("one") !== before);
    await waitUntil(() => bench.opened[0]?.closed === true);
    assert.deepEqual(opened(), ["1 closed", "2"]);
    assert.deepEqual(bench.reloads, [["one", true]]);
    assert.deepEqual(states(host), ["one ready"]);
  });

  it("loads a file that is added and takes out one that is gone", async () => {
    const host = await startWith(manifest("one", "1"));
    await bench.write("b.yaml", manifest("two", "2"));
    await waitUntil(() => host.size === 2);
    await unlink(join(bench.folder, "a.yaml"));
    await waitUntil(() => host.size === 1);
    await waitUntil(() => bench.opened[0]?.closed === true);
    assert.deepEqual(states(host), ["two ready"]);
    assert.ok(bench.logged(/Component one is removed/));
  });

  it("takes a renamed Component for a new one and the end of the old one", async () => {
    const host = await startWith(manifest("one", "1"));
    await bench.write("a.yaml", manifest("uno", "1"));
    await waitUntil(() => host.find("uno") !== undefined && host.find("one") === undefined);
    await waitUntil(() => bench.opened[0]?.closed === true);
  });

  it("does not reopen for equal settings, however they are written, and an in-memory store keeps its data", async () => {
    const host = await startWith(`${inMemoryManifest("memory")}---\n${manifest("one", "1")}`);
    await putV(host, "memory");
    const respelled = manifest("one", '"1" # the same').replace("label", "LABEL");
    await bench.write(
      "a.yaml",
      `# moved\n---\n${respelled}---\n${inMemoryManifest("memory")}---\n${inMemoryManifest("more")}`,
    );
    await waitUntil(() => host.find("more") !== undefined);
    assert.deepEqual(opened(), ["1"]);
    assert.equal(await valueIn(host, "memory"), "v");
  });

  it("opens a store again for a field that has changed, or when its manifest was away, and not for a touched file", async () => {
    const host = await startWith(manifest("one", "1"));
    await utimes(join(bench.folder, "a.yaml"), new Date(), new Date(Date.now() + 60_000));
    await host.reload();
    assert.deepEqual(opened(), ["1"]);
    await bench.write("a.yaml", manifest("one", "1", { metadata: "  - name: password\n    value: other\n" }));
    await waitUntil(() => bench.opened[0]?.closed === true);
    assert.deepEqual(opened(), ["1 closed", "1"]);
    await unlink(join(bench.folder, "a.yaml"));
    await waitUntil(() => host.size === 0);
    assert.ok(bench.logged(/Component one is removed/));
    await bench.write("a.yaml", manifest("one", "1", { metadata: "  - name: password\n    value: other\n" }));
    await waitUntil(() => host.size === 1);
    assert.equal(bench.opened.length, 3);
  });

  it("does not reopen for a {uuid}, which stays what it is", async () => {
    const host = await startWith(manifest("one", "'{uuid}'"));
    await bench.write("b.yaml", inMemoryManifest("more"));
    await waitUntil(() => host.size === 2);
    assert.equal(bench.opened.length, 1);
    assert.match(bench.opened[0]?.label ?? "", /^[0-9a-f-]{36}$/);
  });

  it("keeps the old store when the new one cannot connect, and takes the new one when it can", async () => {
    const host = await startWith(manifest("one", "1"));
    const before = found(host, "one");
    bench.failing.set("2", "server refused");
    await bench.write("a.yaml", manifest("one", "2"));
    await waitUntil(() => states(host)[0] === "one kept");
    assert.equal(host.find("one"), before);
    assert.match(host.statuses()[0]?.message ?? "", /INIT_COMPONENT_FAILURE.*server refused/);
    assert.deepEqual(bench.reloads, [["one", false]]);
    bench.failing.clear();
    await waitUntil(() => states(host)[0] === "one ready");
    assert.notEqual(host.find("one"), before);
    assert.deepEqual(bench.reloads, [
      ["one", false],
      ["one", true],
    ]);
  });

  it("keeps the old store when the new one opens but does not answer", async () => {
    const host = await startWith(manifest("one", "1"));
    bench.silent.add("2");
    await bench.write("a.yaml", manifest("one", "2"));
    await waitUntil(() => states(host)[0] === "one kept");
    assert.ok(opened().includes("2 closed") && opened().includes("1"));
  });

  it("keeps the old store when the new manifest has faults, and says which", async () => {
    const host = await startWith(manifest("one", "1"));
    const before = found(host, "one");
    for (const bad of [
      manifest("one", "1", { metadata: "  - {name: keyPrefix, value: 'a||b'}\n" }),
      manifest("one", "1").replace("state.test", "state.tset"),
      manifest("one", "1", { spec: "  ignoreErrors: perhaps\n" }),
      manifest("one", "1", { metadata: "  - {name: password, envRef: UNSET}\n" }),
    ]) {
      await bench.write("a.yaml", bad);
      await waitUntil(() => states(host)[0] === "one kept");
      assert.equal(host.find("one"), before);
      await bench.write("a.yaml", manifest("one", "1"));
      await waitUntil(() => states(host)[0] === "one ready");
    }
    assert.equal(host.find("one"), before);
    assert.deepEqual(opened(), ["1"]);
  });

  const UNUSABLE = {
    "half written": "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: one\nspec:\n  type: [state.te",
    empty: "",
    "without the Component's name": manifest("one", "2").replace("name: one", "nmae: one"),
    "full of zeros": "\0".repeat(200),
    "a bomb of aliases": `${manifest("one", "2")}  - {name: a, value: &a "${"x".repeat(500_000)}"}\n  - {name: b, value: [${"*a, ".repeat(9000)}]}\n`,
    "no UTF-8": Buffer.from([0xff, 0xfe, 0xfd]),
  };
  for (const [how, content] of Object.entries(UNUSABLE)) {
    it(`keeps the store while its file is ${how}, and takes what comes after`, async () => {
      const host = await startWith(manifest("one", "1"));
      const before = found(host, "one");
      await writeFile(join(bench.folder, "a.yaml"), content);
      await waitUntil(() => states(host)[0] === "one kept");
      await severalLooks();
      assert.equal(host.find("one"), before);
      assert.equal(bench.lines.filter((line) => line.includes("cannot be used as it is")).length, 1);
      assert.deepEqual(bench.reloads, [["one", false]]);
      await bench.write("a.yaml", manifest("one", "2"));
      await waitUntil(() => host.find("one") !== before);
      assert.deepEqual(states(host), ["one ready"]);
    });
  }

  it("tells the newest reason when one problem follows another", async () => {
    const host = await startWith(manifest("one", "1"));
    bench.failing.set("2", "server refused");
    await bench.write("a.yaml", manifest("one", "2"));
    await host.reload();
    assert.match(host.statuses()[0]?.message ?? "", /server refused/);
    await bench.write("a.yaml", "a: [");
    await host.reload();
    assert.match(host.statuses()[0]?.message ?? "", /cannot be used as it is/);
    assert.deepEqual(states(host), ["one kept"]);
  });

  it("does not wait for a FIFO that stands where a manifest was, and keeps the store", async () => {
    const host = await startWith(manifest("one", "1"));
    await rm(join(bench.folder, "a.yaml"));
    await makeFifo(join(bench.folder, "a.yaml"));
    await makeFifo(join(bench.folder, "b.yaml"));
    await bench.write("c.yaml", manifest("two", "2"));
    await host.reload();
    await host.reload();
    assert.deepEqual(states(host), ["one kept", "two ready"]);
    assert.match(host.statuses()[0]?.message ?? "", /a\.yaml cannot be read \(it is no regular file\)/);
    assert.equal(bench.lines.filter((line) => /b\.yaml cannot be read \(it is no regular file\)/.test(line)).length, 1);
  });

  it("does not act on a file that is gone for moments", async () => {
    await bench.write("a.yaml", manifest("one", "1"));
    // On a clock that is slower than the real one: a moment must stay one on a busy machine.
    const host = await bench.start({ clock: clockOf(1 / SLOWER) });
    const before = found(host, "one");
    const path = join(bench.folder, "a.yaml");
    for (let round = 0; round < 12; round++) {
      await rename(path, `${path}~`);
      await delay(60);
      await rename(`${path}~`, path);
      await delay(60);
    }
    await delay(SEVERAL_LOOKS_MS * SLOWER);
    assert.equal(host.find("one"), before);
    assert.deepEqual(opened(), ["1"]);
  });

  it("does not act on a file that is only touched, nor on one that moves to another name", async () => {
    const host = await startWith(manifest("one", "1"));
    const before = found(host, "one");
    await utimes(join(bench.folder, "a.yaml"), new Date(), new Date(1));
    await severalLooks();
    await rename(join(bench.folder, "a.yaml"), join(bench.folder, "b.yml"));
    await severalLooks();
    assert.equal(host.find("one"), before);
    assert.ok(!bench.logged(/duplicate/));
  });

  it("keeps all stores of a folder that cannot be read", async () => {
    const host = await startWith(manifest("one", "1"));
    await rename(bench.folder, `${bench.folder}-away`);
    await waitUntil(() => bench.logged(/cannot be read \(ENOENT\): its Components stay/));
    await severalLooks();
    assert.deepEqual(states(host), ["one ready"]);
    await rename(`${bench.folder}-away`, bench.folder);
    await bench.write("a.yaml", manifest("one", "2"));
    await waitUntil(() => bench.opened.length === 2);
  });

  it("follows the links of a ConfigMap", async () => {
    const put = async (version: string, content: string): Promise<void> => {
      await mkdir(join(bench.folder, version));
      await writeFile(join(bench.folder, version, "a.yaml"), content);
      await symlink(version, join(bench.folder, "..data.new"));
      await rename(join(bench.folder, "..data.new"), join(bench.folder, "..data"));
    };
    await put("..1", manifest("one", "1"));
    await symlink(join("..data", "a.yaml"), join(bench.folder, "a.yaml"));
    const host = await bench.start();
    const before = found(host, "one");
    await put("..2", manifest("one", "2"));
    await rm(join(bench.folder, "..1"), { recursive: true });
    await waitUntil(() => host.find("one") !== before);
    assert.deepEqual(states(host), ["one ready"]);
  });

  it("takes a changed secret, and keeps the last good one while the file is broken", async () => {
    const secrets = join(bench.folder, "keys");
    // Whole files at once: on the fast clock, half a file would count soon.
    await bench.write("keys", '{"db": "first"}');
    const store = `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: files}\nspec: {type: secretstores.local.file, metadata: [{name: secretsFile, value: ${JSON.stringify(secrets)}}]}\n`;
    const metadata = "  - {name: password, secretKeyRef: {name: db}}\n";
    const host = await startWith(
      `${store}---\n${manifest("one", "1", { metadata, top: "auth: {secretStore: files}\n" })}`,
    );
    await bench.write("keys", '{"db": "second"}');
    await waitUntil(() => bench.opened.length === 2);
    assert.deepEqual(
      bench.opened.map(({ password }) => password),
      ["first", "second"],
    );
    await bench.write("keys", '{"db": "thi');
    await waitUntil(() => states(host)[0] === "files kept");
    assert.deepEqual(states(host), ["files kept", "one ready"]);
    await bench.write("keys", '{"other": "third"}');
    await waitUntil(() => states(host)[1] === "one kept");
    assert.deepEqual(states(host), ["files ready", "one kept"]);
    await bench.write("keys", '{"db": "third"}');
    await waitUntil(() => bench.opened.length === 3);
    assert.equal(bench.opened[2]?.password, "third");
    assert.deepEqual(bench.reloads, [
      ["one", true],
      ["files", false],
      ["files", true],
      ["one", false],
      ["one", true],
    ]);
    assert.ok(!bench.logged(/first|second|third/));
  });

  it("lets calls that are under way end on the old store before it closes", async () => {
    const host = await startWith(manifest("one", "1"));
    const entry = found(host, "one");
    entry.enter();
    await bench.write("a.yaml", manifest("one", "2"));
    await waitUntil(() => host.find("one") !== entry);
    await severalLooks();
    assert.deepEqual(opened(), ["1", "2"]);
    await entry.store.ping(call);
    entry.leave();
    await waitUntil(() => bench.opened[0]?.closed === true);
  });

  it("closes an old store whose calls do not end within the drain time", async () => {
    await bench.write("a.yaml", manifest("one", "1"));
    const host = await bench.start({ drainMs: 100 });
    found(host, "one").enter();
    await bench.write("a.yaml", manifest("one", "2"));
    await waitUntil(() => bench.opened[0]?.closed === true);
    assert.ok(bench.logged(/drain time is over: store one is closed/));
  });

  it("leaves what is loaded alone when a name is given twice, until it is not", async () => {
    const host = await startWith(manifest("one", "1"));
    const before = found(host, "one");
    await bench.write("b.yaml", `${manifest("one", "2")}---\n${manifest("two", "3")}`);
    await waitUntil(() => host.find("two") !== undefined);
    assert.equal(host.find("one"), before);
    assert.deepEqual(states(host), ["one kept", "two ready"]);
    assert.ok(bench.logged(/duplicate definition of Component name one \(state\.test\/v1\) with existing one/));
    await unlink(join(bench.folder, "a.yaml"));
    await waitUntil(() => host.find("one") !== before);
    assert.deepEqual(states(host), ["one ready", "two ready"]);
  });

  it("does not let a store that hangs hold up another one, nor its own next manifest", async () => {
    const host = await startWith(`${manifest("one", "1")}---\n${manifest("two", "1")}`);
    bench.hanging.add("stuck");
    const stuck = manifest("one", "stuck", { spec: "  initTimeout: 10m\n" });
    await bench.write("a.yaml", `${stuck}---\n${manifest("two", "1")}`);
    await severalLooks();
    await bench.write("a.yaml", `${stuck}---\n${manifest("two", "2")}`);
    await waitUntil(() => bench.opened.some(({ label }) => label === "2"));
    await bench.write("a.yaml", `${manifest("one", "3")}---\n${manifest("two", "2")}`);
    await waitUntil(() => bench.opened.some(({ label }) => label === "3"));
    assert.deepEqual(states(host), ["one ready", "two ready"]);
    bench.hanging.clear();
    await waitUntil(() => opened().includes("stuck closed"));
  });

  it("applies a change at once when it is told to", async () => {
    const host = await startWith(manifest("one", "1"));
    await bench.write("a.yaml", manifest("one", "2"));
    await bench.write("b.yaml", manifest("two", "3"));
    await host.reload();
    assert.deepEqual(
      bench.opened.map(({ label }) => label),
      ["1", "2", "3"],
    );
    await unlink(join(bench.folder, "b.yaml"));
    await host.reload();
    assert.deepEqual(states(host), ["one ready"]);
  });

  it("says that it has read the manifests again, also when nothing has changed", async () => {
    const host = await startWith(manifest("one", "1"));
    const told = (): string[] => bench.lines.filter((line) => line.includes("manifests read again"));
    await host.reload();
    assert.match(told()[0] ?? "", /"level":"info".*"components":1,"changed":false/);
    await bench.write("b.yaml", manifest("two", "2"));
    await host.reload();
    assert.match(told()[1] ?? "", /"components":2,"changed":true/);
  });

  it("drains and closes all stores at the end, and nothing follows", async () => {
    const host = await startWith(manifest("one", "1"));
    const entry = found(host, "one");
    entry.enter();
    const closing = host.close(5000);
    await waitUntil(() => host.size === 0);
    assert.deepEqual(opened(), ["1"]);
    entry.leave();
    await closing;
    assert.deepEqual(opened(), ["1 closed"]);
    await bench.write("a.yaml", manifest("one", "2"));
    await severalLooks();
    assert.equal(bench.opened.length, 1);
  });
});
