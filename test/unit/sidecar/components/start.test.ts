// What the host loads at its start, and what ends it.
import assert from "node:assert/strict";
import { join } from "node:path";
import { Bench, inMemoryManifest, manifest, waitUntil } from "./bench.ts";

describe("starting Components", () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.setUp();
  });
  afterEach(() => bench.tearDown());

  const names = (host: { all(): Iterable<{ name: string }> }): string[] => [...host.all()].map(({ name }) => name);

  async function failure(): Promise<string> {
    const outcome = await bench.start().then(
      () => "started",
      (error: unknown) => error,
    );
    assert.ok(outcome instanceof Error, "it started");
    assert.equal(outcome.name, "ComponentsError");
    assert.ok(
      bench.opened.every(({ closed }) => closed),
      "a store stays open",
    );
    return outcome.message;
  }

  it("needs no folder", async () => {
    const host = await bench.start({ resourcesPaths: [] });
    assert.equal(host.size, 0);
  });

  it("loads every store of every file and document, in their order", async () => {
    await bench.write("b.yaml", `${manifest("two", "2")}\n---\n${inMemoryManifest("three")}`);
    await bench.write("a.yml", manifest("one", "1"));
    await bench.write(".hidden.yaml", manifest("hidden", "h"));
    await bench.write("secrets.json", '{"label": "x"}');
    await bench.write(
      "c.json",
      JSON.stringify({
        apiVersion: "dapr.io/v1alpha1",
        kind: "Component",
        metadata: { name: "four" },
        spec: { type: "state.in-memory" },
      }),
    );
    const host = await bench.start();
    assert.deepEqual(names(host).sort(), ["four", "one", "three", "two"]);
    assert.deepEqual(
      host.statuses().map(({ name }) => name),
      ["one", "two", "three", "four"],
    );
    assert.equal(host.find("one")?.keyPrefix, "app||");
    assert.ok(bench.logged(/Component loaded: one \(state\.test\/v1\)/));
    assert.ok(!bench.logged(/secrets\.json/));
  });

  it("leaves out what is for another app or namespace", async () => {
    await bench.write("a.yaml", manifest("mine", "1", { top: "scopes: [other, app]\n" }));
    await bench.write("b.yaml", manifest("theirs", "2", { top: "scopes: [other]\n" }));
    await bench.write(
      "c.yaml",
      inMemoryManifest("elsewhere").replace("name: elsewhere", "name: elsewhere, namespace: far"),
    );
    await bench.write("d.yaml", inMemoryManifest("here").replace("name: here", "name: here, namespace: ns"));
    assert.deepEqual(names(await bench.start({ namespace: "ns" })).sort(), ["here", "mine"]);
    assert.deepEqual(names(await bench.start({ namespace: "" })).sort(), ["elsewhere", "here", "mine"]);
  });

  it("resolves the key prefix of each store", async () => {
    const prefixes = { appid: "app||", NAME: "s2||", namespace: "ns.app||", none: "", Shared: "shared||" };
    for (const [index, strategy] of Object.keys(prefixes).entries()) {
      const metadata = `  - name: KEYprefix\n    value: ${strategy}\n`;
      await bench.write(`${index}.yaml`, manifest(`s${index + 1}`, "1", { metadata }));
    }
    const host = await bench.start({ namespace: "ns" });
    const found = Object.keys(prefixes).map((_, index) => host.find(`s${index + 1}`)?.keyPrefix);
    assert.deepEqual(found, Object.values(prefixes));
  });

  it("ends when a store does not open, naming all that did not, in Dapr's words", async () => {
    bench.failing.set("1", "server refused");
    bench.silent.add("2");
    await bench.write("a.yaml", manifest("one", "1"));
    await bench.write("b.yaml", manifest("two", "2"));
    await bench.write("c.yaml", manifest("three", "3"));
    assert.equal(
      await failure(),
      "process component one error: [INIT_COMPONENT_FAILURE]: initialization error occurred for one (state.test/v1): server refused\n" +
        "process component two error: [INIT_COMPONENT_FAILURE]: initialization error occurred for two (state.test/v1): no answer",
    );
    assert.ok(bench.logged(/Failed to init component one \(state\.test\/v1\)/));
  });

  it("ends when a store takes longer than its initTimeout, and closes the one that comes too late", async () => {
    bench.hanging.add("1");
    await bench.write("a.yaml", manifest("one", "1", { spec: "  initTimeout: 50ms\n" }));
    assert.match(
      await failure(),
      /init timeout for component one exceeded after 50ms; check that its server answers there/,
    );
    bench.hanging.clear();
    await waitUntil(() => bench.opened.length === 1 && bench.opened[0]?.closed === true);
  });

  it("goes on without a store that has ignoreErrors, and opens it when it can", async () => {
    bench.failing.set("1", "server refused");
    await bench.write("a.yaml", manifest("one", "1", { spec: "  ignoreErrors: true\n" }));
    const host = await bench.start();
    assert.equal(host.size, 0);
    assert.deepEqual(
      host.statuses().map(({ state }) => state),
      ["failed"],
    );
    assert.ok(bench.logged(/Ignoring error processing component: process component one error/));
    bench.failing.clear();
    await waitUntil(() => host.size === 1);
    assert.deepEqual(
      host.statuses().map(({ state, message }) => [state, message]),
      [["ready", null]],
    );
  });

  const FATAL: readonly (readonly [string, string, RegExp])[] = [
    [
      "a type that there is none of",
      inMemoryManifest("x").replace("in-memory", "in-memroy"),
      /\[CREATE_COMPONENT_FAILURE\].*couldn't find state store state\.in-memroy\/v1; did you mean state\.in-memory\?/,
    ],
    [
      "a version that there is none of",
      manifest("x", "1").replace("version: v1", "version: v2"),
      /couldn't find state store state\.test\/v2/,
    ],
    ["a block in upper case", inMemoryManifest("x").replace("state.", "State."), /incorrect type State\.in-memory/],
    ["a missing field", manifest("x", '""'), /a\.yaml:\d+: label: want a value: the field is required/],
    [
      "a key prefix with the separator",
      manifest("x", "1", { metadata: "  - {name: keyPrefix, value: 'a||b'}\n" }),
      /a\.yaml:11: keyPrefix: got "a\|\|b"/,
    ],
    [
      "an encryption key without a secret",
      manifest("x", "1", { metadata: "  - {name: primaryEncryptionKey, value: 00112233445566778899aabbccddeeff}\n" }),
      /a\.yaml:11: primaryEncryptionKey: want a secretKeyRef/,
    ],
    [
      "an encryption key without a secret store, which is not told to be missing as well",
      manifest("x", "1", {
        metadata:
          "  - {name: primaryEncryptionKey, secretKeyRef: {name: s}}\n  - {name: secondaryEncryptionKey, value: ''}\n",
      }),
      /a\.yaml:11: primaryEncryptionKey: want auth\.secretStore beside secretKeyRef; (?!.*want a key beside)/,
    ],
    [
      "an outbox",
      manifest("x", "1", { metadata: "  - {name: outboxPublishTopic, value: t}\n" }),
      /outboxPublishTopic: want no outbox; Pannier has no pub\/sub/,
    ],
    [
      "a secret without a store",
      manifest("x", "1", { metadata: "  - {name: password, secretKeyRef: {name: s}}\n" }),
      /password: want auth\.secretStore/,
    ],
    ["a pod name without a pod", manifest("x", "'{podName}'"), /POD_NAME/],
  ];
  for (const [what, content, wanted] of FATAL) {
    it(`ends for ${what}`, async () => {
      await bench.write("a.yaml", content);
      assert.match(await failure(), wanted);
    });
  }

  it("ends when a name is given twice, whatever the type", async () => {
    await bench.write("a.yaml", manifest("one", "1"));
    await bench.write("b.yaml", inMemoryManifest("one").replace("state.in-memory", "pubsub.in-memory"));
    assert.equal(
      await failure(),
      "failed to load components: duplicate definition of Component name one (pubsub.in-memory/v1) with existing one (state.test/v1)",
    );
    assert.equal(bench.opened.length, 0);
  });

  it("ends when a folder is missing", async () => {
    const resourcesPaths = [join(bench.folder, "nope")];
    await assert.rejects(
      bench.start({ resourcesPaths }),
      /resources path .*nope.* cannot be read: want a folder \(ENOENT\)/,
    );
  });

  it("passes over other kinds and building blocks with a note, and documents with faults with an error", async () => {
    await bench.write("a.yaml", inMemoryManifest("ps").replace("state.in-memory", "pubsub.redis"));
    await bench.write("b.yaml", "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: r}\n");
    await bench.write("c.yaml", `a: [\n---\n${inMemoryManifest("a/b")}---\n${inMemoryManifest("good")}`);
    const host = await bench.start();
    assert.deepEqual(names(host), ["good"]);
    assert.ok(bench.logged(/Component ps \(pubsub\.redis\/v1\) is passed over/));
    assert.ok(bench.logged(/Configuration is passed over here: --config/));
    assert.ok(bench.logged(/c\.yaml:1: want YAML that can be read/));
    assert.ok(bench.logged(/c\.yaml:5: metadata\.name: got \\"a\/b\\"/));
  });

  it("minds no broken document for another app or namespace", async () => {
    const broken = manifest("one", "1", { spec: "  ignoreErrors: perhaps\n" });
    await bench.write("a.yaml", `${broken}scopes: [other]\n`);
    await bench.write("b.yaml", broken.replace("name: one", "name: two\n  namespace: far"));
    await bench.write("c.yaml", broken.replace("name: one", "name: three\n  namespace: ns"));
    await bench.write("d.yaml", `${broken.replace("name: one", "name: four")}scopes: app\n`);
    const host = await bench.start({ namespace: "ns" });
    assert.deepEqual(
      host.statuses().map(({ name, state }) => `${name} ${state}`),
      ["three failed", "four failed"],
    );
    assert.ok(bench.logged(/a\.yaml:8: spec\.ignoreErrors/));
  });

  it("tells the reason of a broken document once, and shows it", async () => {
    await bench.write("a.yaml", manifest("one", "1").replace("v1alpha1", "v1alpha2"));
    const host = await bench.start();
    const reasons = bench.lines.filter((line) => /v1alpha2|passed over|Failed to init|Ignoring/.test(line));
    assert.equal(reasons.length, 1, reasons.join(""));
    assert.match(host.statuses()[0]?.message ?? "", /a\.yaml:1: apiVersion: got "dapr\.io\/v1alpha2"/);
  });

  it("tells the reason of an ignored error once", async () => {
    bench.failing.set("1", "server refused");
    await bench.write("a.yaml", manifest("one", "1", { spec: "  ignoreErrors: true\n  initTimeout: 10m\n" }));
    await bench.start();
    assert.equal(bench.lines.filter((line) => line.includes("server refused")).length, 1);
  });

  it("warns about unknown fields and about text that changes", async () => {
    const metadata = "  - {name: lable, value: x}\n  - {name: password, value: 0123}\n";
    await bench.write("a.yaml", manifest("one", "0777", { metadata }));
    await bench.start();
    assert.ok(bench.logged(/a\.yaml:11: lable: want .* did you mean label\?/));
    assert.ok(bench.logged(/a\.yaml:10: label: got \\"0777\\", want quotes around it: it is read as \\"511\\"/));
    assert.ok(bench.logged(/a\.yaml:12: password: want quotes/));
    assert.ok(!bench.lines.some((line) => /0123|:83/.test(line)));
  });

  it("shows no text of a field that it does not know: it may be a password with a mistyped name", async () => {
    await bench.write("a.yaml", manifest("one", "1", { metadata: "  - {name: pasword, value: 0123456}\n" }));
    await bench.start();
    assert.ok(bench.logged(/a\.yaml:11: pasword: want quotes around the value/));
    assert.ok(!bench.logged(/0123456|42798/));
  });

  it("tells all faults of a document with another apiVersion, not only that one", async () => {
    await bench.write(
      "a.yaml",
      inMemoryManifest("a/b").replace("v1alpha1", "v1").replace("type: state.in-memory,", ""),
    );
    assert.equal((await bench.start()).size, 0);
    assert.ok(bench.logged(/a\.yaml:1: apiVersion: got \\"dapr\.io\/v1\\"/));
    assert.ok(bench.logged(/a\.yaml:3: metadata\.name: got \\"a\/b\\"/));
    assert.ok(bench.logged(/a\.yaml:4: spec\.type: want/));
  });

  it("takes secrets from stores that are loaded first, whatever the order of the files", async () => {
    bench.env = { SECRETS: join(bench.folder, "secrets.json") };
    await bench.write("secrets.json", '{"db": "hunter2"}');
    const metadata = "  - {name: password, secretKeyRef: {name: db}}\n";
    await bench.write("a.yaml", manifest("one", "1", { metadata, top: "auth: {secretStore: files}\n" }));
    await bench.write(
      "z.yaml",
      secretStore("files", "local.file", "{name: secretsFile, secretKeyRef: {name: SECRETS}}", "vars"),
    );
    await bench.write("zz.yaml", secretStore("vars", "local.env", ""));
    const host = await bench.start();
    assert.equal(bench.opened[0]?.password, "hunter2");
    assert.deepEqual(
      host.statuses().map(({ name, state }) => `${name} ${state}`),
      ["files ready", "vars ready", "one ready"],
    );
  });

  it("ends when a secret store does not open, unless it has ignoreErrors", async () => {
    await bench.write("a.yaml", secretStore("files", "local.file", "{name: secretsFile, value: /nope/secrets.json}"));
    assert.match(await failure(), /^process component files error: \[INIT_COMPONENT_FAILURE\].*ENOENT/);
    await bench.write(
      "a.yaml",
      secretStore("files", "local.file", "{name: secretsFile, value: /nope/secrets.json}").replace(
        "spec: {",
        "spec: {ignoreErrors: true, ",
      ),
    );
    const host = await bench.start();
    assert.deepEqual(
      host.statuses().map(({ name, state }) => `${name} ${state}`),
      ["files failed"],
    );
  });

  it("never shows a secret, not even one that a driver's error repeats", async () => {
    bench.env = { PASSWORD: "hunter2" };
    bench.failing.set("1", "login with hunter2 was refused");
    await bench.write("a.yaml", manifest("one", "1", { metadata: "  - {name: password, envRef: PASSWORD}\n" }));
    assert.match(await failure(), /login with \*\*\* was refused/);
    bench.failing.set("1", "login with plain-pass was refused");
    await bench.write("a.yaml", manifest("one", "1", { metadata: "  - {name: password, value: plain-pass}\n" }));
    assert.match(await failure(), /login with \*\*\* was refused/);
    assert.ok(!bench.logged(/hunter2|plain-pass/));
  });

  it("never shows a secret that a driver's own fault repeats, in log, error or status", async () => {
    bench.env = { LABEL: 'say "hunter2"', LONG: `hunter2-${"x".repeat(200)}` };
    bench.check = ({ label }) => [
      { severity: "error", field: "label", got: label, want: `no ${label}`, hint: `not ${JSON.stringify(label)}` },
      { severity: "error", field: "password", got: label, want: "another", hint: null },
    ];
    for (const variable of ["LABEL", "LONG"]) {
      const from = manifest("one", "x").replace("value: x", `envRef: ${variable}`);
      await bench.write("a.yaml", from);
      assert.match(await failure(), /label: want no \*\*\*; not/);
      await bench.write("a.yaml", from.replace("spec:", "spec:\n  ignoreErrors: true"));
      const host = await bench.start();
      assert.match(host.statuses()[0]?.message ?? "", /label: want no \*\*\*/);
      assert.doesNotMatch(JSON.stringify(host.statuses()), /hunter2/);
    }
    assert.ok(!bench.logged(/hunter2/));
  });

  it("never shows a secret that a driver's warning repeats", async () => {
    bench.env = { LABEL: "hunter2" };
    bench.check = ({ label }) => [{ severity: "warning", field: "label", got: label, want: `no ${label}`, hint: null }];
    await bench.write("a.yaml", manifest("one", "x").replace("value: x", "envRef: LABEL"));
    await bench.start();
    assert.ok(bench.logged(/label: want no \*\*\*/));
    assert.ok(!bench.logged(/hunter2/));
  });

  it("never shows the path of a secrets file that came out of a variable", async () => {
    bench.env = { SECRETS: "/nope/hunter2.json" };
    await bench.write("a.yaml", secretStore("files", "local.file", "{name: secretsFile, envRef: SECRETS}"));
    assert.match(await failure(), /secretsFile "\*\*\*" cannot be read \(ENOENT\)/);
    assert.ok(!bench.logged(/hunter2/));
  });
});

function secretStore(name: string, type: string, entry: string, from?: string): string {
  const auth = from === undefined ? "" : `auth: {secretStore: ${from}}\n`;
  return `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: ${name}}\nspec: {type: secretstores.${type}, version: v1, metadata: [${entry}]}\n${auth}`;
}
