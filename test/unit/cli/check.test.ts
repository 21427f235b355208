// `pannier check`: what it prints, and its exit code.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { check } from "#cli/check.ts";
import { STORE_TYPES } from "#sidecar/stores/registry.ts";

const HEAD = "apiVersion: dapr.io/v1alpha1\nkind: Component\n";

function component(name: string, spec: string, rest = ""): string {
  return `${HEAD}metadata: {name: ${name}}\nspec:\n${spec}${rest}`;
}

const MEMORY = "  type: state.in-memory\n  version: v1\n";

describe("the check of manifests", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-check-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function run(
    files: Readonly<Record<string, string>>,
    output: "text" | "json" = "text",
    paths: readonly string[] = [folder],
  ): Promise<{ code: number; text: string }> {
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    let text = "";
    const write = (part: string): void => {
      text += part;
    };
    const code = await check(paths, { output, write });
    return { code, text: text.replaceAll(`${folder}/`, "") };
  }

  it("finds nothing wrong with good manifests", async () => {
    const { code, text } = await run({ "a.yaml": component("a", MEMORY), "b.yml": component("b", MEMORY) });
    assert.equal(text, "2 Components in 2 files: 0 errors, 0 warnings\n");
    assert.equal(code, 0);
  });

  it("prints every fault of every file with its line, and exits with 1", async () => {
    const redis =
      "  type: state.redis\n  metadata:\n  - name: redisHost\n    value: localhost:6379\n  - name: redisMaxRetries\n    value: ten\n";
    const { code, text } = await run({
      "a.yaml": component("orders", `${redis}  - {name: keyPrefix, value: 'x||y'}\n`),
      "b.yaml": `${component("b", MEMORY)}---\na: [\n---\n${component("c/d", MEMORY)}`,
    });
    const lines = text.split("\n");
    assert.match(
      lines[0] ?? "",
      /^a\.yaml:9: component "orders" \(state\.redis\): redisMaxRetries: got "ten", want a whole number .*; see docs\/stores\/redis\.md$/,
    );
    assert.match(lines[1] ?? "", /^a\.yaml:11: component "orders" \(state\.redis\): keyPrefix: got "x\|\|y", want /);
    assert.match(lines[2] ?? "", /^b\.yaml:\d+: want YAML that can be read: .*line \d+, column \d+/);
    assert.match(lines[3] ?? "", /^b\.yaml:12: component "c\/d" \(state\.in-memory\): metadata\.name: got "c\/d"/);
    assert.equal(lines[4], "3 Components in 2 files: 4 errors, 0 warnings");
    assert.equal(code, 1);
  });

  it("exits with 0 when there are only warnings", async () => {
    const { code, text } = await run({ "a.yaml": component("a", `${MEMORY}  metadata: [{name: x, value: v}]\n`) });
    assert.match(text, /^a\.yaml:7: warning: component "a" \(state\.in-memory\): x: want a field/);
    assert.match(text, /0 errors, 1 warning\n$/);
    assert.equal(code, 0);
  });

  it("prints one JSON array for programs", async () => {
    const { code, text } = await run({ "a.yaml": component("a", "  type: state.in-memroy\n") }, "json");
    assert.deepEqual(JSON.parse(text), [
      {
        file: "a.yaml",
        line: 5,
        component: "a",
        type: "state.in-memroy",
        field: "spec.type",
        severity: "error",
        got: "state.in-memroy",
        want: "a known type: couldn't find state store state.in-memroy/v1",
        hint: `did you mean state.in-memory? the state stores are ${STORE_TYPES.join(", ")}; any other can be a pluggable component (docs/stores/pluggable.md)`,
      },
    ]);
    assert.equal(code, 1);
    assert.equal((await run({ "a.yaml": component("a", MEMORY) }, "json")).text, "[]\n");
  });

  it("finds a name that is given twice across files, unless no app sees both", async () => {
    const scoped = (app: string): string => component("a", MEMORY, `scopes: [${app}]\n`);
    const { text } = await run({ "a.yaml": component("a", MEMORY), "b.yaml": scoped("x"), "c.yaml": scoped("y") });
    assert.match(
      text,
      /^b\.yaml:3: .*metadata\.name: got "a", want a name that no other Component has; the first is in a\.yaml:1/,
    );
    assert.match(text, /2 errors/);
    await rm(join(folder, "a.yaml"));
    assert.equal((await run({})).code, 0);
  });

  it("takes secrets as given and does not judge what they hold", async () => {
    const entry = (name: string): string => `  - {name: ${name}, secretKeyRef: {name: s}}\n`;
    const fields = ["redisHost", "redisPassword", "redisMaxRetries", "dialTimeout", "enableTLS", "keyPrefix"];
    const redis = `  type: state.redis\n  metadata:\n${fields.map(entry).join("")}`;
    const { code, text } = await run({ "a.yaml": component("a", redis, "auth: {secretStore: vault}\n") });
    assert.equal(text, "1 Component in 1 file: 0 errors, 0 warnings\n");
    assert.equal(code, 0);
  });

  it("does not compare a value with one that is not known", async () => {
    const sqlite = "  type: state.sqlite\n  metadata:\n  - {name: connectionString, value: a.db}\n";
    const busy = "  - {name: busyTimeout, value: 2s}\n";
    const { text } = await run({
      "a.yaml": component("a", `${sqlite}${busy}  - {name: timeoutInSeconds, envRef: T}\n`),
      "b.yaml": component("b", `${sqlite}${busy}  - {name: timeoutInSeconds, value: "1"}\n`),
    });
    assert.doesNotMatch(text, /^a\.yaml/m);
    assert.match(text, /^b\.yaml:8: .*busyTimeout: got "2000ms", want less than timeout, which is 1000ms/m);
  });

  it("reads no FIFO: a note in a folder, an error where it is named", async () => {
    await promisify(execFile)("mkfifo", [join(folder, "pipe.yaml")]);
    await mkdir(join(folder, "sub.yaml"));
    const inFolder = await run({ "a.yaml": component("a", MEMORY) });
    assert.equal(
      inFolder.text,
      "pipe.yaml: note: it is no regular file and is not read\nsub.yaml: note: it is no regular file and is not read\n1 Component in 1 file: 0 errors, 0 warnings\n",
    );
    assert.equal(inFolder.code, 0);
    const named = await run({}, "text", [join(folder, "pipe.yaml")]);
    assert.match(named.text, /^pipe\.yaml: want a file that can be read; it is no regular file/);
    assert.equal(named.code, 1);
  });

  it("judges where an encryption key comes from, whatever it is", async () => {
    const report = async (...entries: readonly string[]): Promise<string> => {
      const metadata = `  metadata: [${entries.join(", ")}]\n`;
      return (await run({ "a.yaml": component("a", MEMORY + metadata, "auth: {secretStore: vault}\n") })).text;
    };
    const primary = "{name: primaryEncryptionKey, secretKeyRef: {name: s}}";
    const secondary = "{name: secondaryEncryptionKey, secretKeyRef: {name: t}}";
    const clean = "1 Component in 1 file: 0 errors, 0 warnings\n";
    assert.equal(await report(primary), clean);
    assert.equal(await report(primary, secondary), clean);
    assert.match(await report(secondary), / primaryEncryptionKey: want a key beside secondaryEncryptionKey/);
    assert.match(
      await report("{name: primaryEncryptionKey, envRef: KEY}"),
      /primaryEncryptionKey: want a secretKeyRef/,
    );
    assert.match(await report(primary.replace("Encry", "Ency")), /primaryEncyptionKey: want primaryEncryptionKey/);
    assert.match(
      await report("{name: encryptionKey, value: v}"),
      /a\.yaml:7: .* encryptionKey: want .*1 error, 0 warnings/s,
    );
    const broken = await report("{name: primaryEncryptionKey, secretKeyRef: {key: k}}");
    assert.match(broken, /secretKeyRef\.name: want the name of a secret/);
    assert.match(broken, /: 1 error, 0 warnings/);
  });

  it("checks secret stores by their own fields", async () => {
    const { text } = await run({
      "a.yaml": component("a", "  type: secretstores.local.file\n  metadata: [{name: secretFile, value: x}]\n"),
    });
    assert.match(text, /warning: .*secretFile: .* did you mean secretsFile\?/);
    assert.match(text, /secretsFile: want a value: the field is required/);
  });

  it("says what it passes over", async () => {
    const { code, text } = await run({
      "a.yaml": component("a", MEMORY),
      "b.yaml": component("b", "  type: pubsub.redis\n  metadata: [{name: x, value: 010}]\n"),
      "c.yaml": "apiVersion: v1\nkind: ConfigMap\n",
    });
    assert.match(text, /^b\.yaml:\d+: note: pubsub\.redis is passed over: Pannier has no building block pubsub$/m);
    assert.match(text, /^c\.yaml:1: note: ConfigMap \(v1\) is passed over/m);
    assert.equal(code, 0);
  });

  it("looks into the items of a list, as kubectl prints them, each with its own line", async () => {
    const list = `apiVersion: v1
items:
- apiVersion: dapr.io/v1alpha1
  kind: Component
  metadata: {name: orders, namespace: shop, uid: x, resourceVersion: "1"}
  spec:
    type: state.redis
    version: v1
    metadata:
    - name: redisMaxRetries
      value: ten
    - name: keyPrefix
      value: 0123
  status: {observedGeneration: 1}
- apiVersion: dapr.io/v1alpha1
  kind: Resiliency
  metadata: {name: calm}
  spec:
    targets: {components: {orders: {outbound: {timeout: quick}}}}
- apiVersion: dapr.io/v1alpha1
  kind: Configuration
  metadata: {name: tracing}
  spec: {tracing: {samplingRate: "2"}}
- apiVersion: v1
  kind: ConfigMap
- apiVersion: dapr.io/v1alpha1
  kind: Component
  metadata: {name: orders}
  metadata: {name: orders}
  spec: {type: state.in-memory, version: v1}
kind: List
`;
    const { code, text } = await run({ "a.yaml": list });
    const lines = text.split("\n").map((line) => line.split("; ")[0]);
    assert.deepEqual(lines, [
      'a.yaml:10: component "orders" (state.redis): redisMaxRetries: got "ten", want a whole number from -1 to 20',
      'a.yaml:13: warning: component "orders" (state.redis): keyPrefix: got "0123", want quotes around it: it is read as "83"',
      'a.yaml:19: warning: resiliency "calm": spec.targets.components.orders.outbound.timeout: got "quick", want a policy that a Resiliency defines',
      'a.yaml:23: configuration "tracing": spec.tracing.samplingRate: got "2", want a number from 0 to 1, as "0.1"',
      'a.yaml:29: component "orders" (state.in-memory): metadata: want the key "metadata" once',
      "a.yaml:1: note: this List is looked into here: a sidecar that finds it in a folder passes over it",
      "a.yaml:24: note: ConfigMap (v1) is passed over: only Component and Resiliency are read",
      "2 Components, 1 Resiliency, 1 Configuration in 1 file: 3 errors, 2 warnings",
      "",
    ]);
    assert.equal(code, 1);
  });

  it("looks into lists of one kind, of JSON and within lists, and says that a sidecar does not", async () => {
    const one = (name: string, type = "state.in-memory"): object => ({
      apiVersion: "dapr.io/v1alpha1",
      kind: "Component",
      metadata: { name },
      spec: { type, version: "v1" },
    });
    const of = (items: unknown, kind = "List"): object => ({ apiVersion: "v1", kind, items });
    const text = async (value: object): Promise<string> =>
      (await run({ "a.json": JSON.stringify(value, null, 1) })).text;
    const note = "a.json:1: note: this List is looked into here: a sidecar that finds it in a folder passes over it\n";
    assert.equal(await text(of([one("a"), one("b")])), `${note}2 Components in 1 file: 0 errors, 0 warnings\n`);
    assert.match(await text(of([one("a")], "ComponentList")), /^a\.json:1: note: this ComponentList .*\n1 Component/);
    const nested = await text(of([of([one("a", "state.radish")])]));
    assert.match(nested, /^a\.json:16: component "a" \(state\.radish\): spec\.type: got "state\.radish"/);
    assert.match(await text(of([])), /want at least one Component/);
    assert.match(await text(of("x")), /want at least one Component.*\na\.json:1: note: List \(v1\) is passed over/);
    const twice = (await run({ "a.json": "", "b.yaml": "apiVersion: v1\nkind: List\nitems: []\nitems: []\n" })).text;
    assert.match(twice, /^b\.yaml:4: items: want the key "items" once/);
    await rm(join(folder, "b.yaml"));
    assert.match(await text(of([null, "x"])), /^a\.json:5: warning: want apiVersion: dapr\.io\/v1alpha1 and kind/m);
  });

  it("judges Resiliencies and Configurations, and what stands for a variable in none", async () => {
    const head = (kind: string): string => `apiVersion: dapr.io/v1alpha1\nkind: ${kind}\nmetadata: {name: x}\nspec:\n`;
    const { code, text } = await run({
      "a.yaml": `${head("Resiliency")}  policies: {circuitBreakers: {c: {trip: failures > 1, interval: often}}}\n`,
      "b.yaml": `${head("Configuration")}  tracing:\n    samplingRate: \${RATE}\n    stdot: true\n  api: {allowed: no}\n`,
    });
    assert.match(text, /^a\.yaml:5: resiliency "x": spec\.policies\.circuitBreakers\.c\.interval: got "often"/m);
    assert.match(text, /^a\.yaml:5: resiliency "x": spec\.policies\.circuitBreakers\.c\.trip: .*Unknown variable/m);
    assert.match(text, /^b\.yaml:7: warning: configuration "x": spec\.tracing\.stdot: .*did you mean stdout\?/m);
    assert.match(text, /^b\.yaml:8: configuration "x": spec\.api\.allowed: got "false", want a list of rules/m);
    assert.match(text, /^1 Resiliency, 1 Configuration in 2 files: 3 errors, 1 warning$/m);
    assert.equal(code, 1);
  });

  it("warns of policies that no Resiliency of all it was given defines, with file and line", async () => {
    const head = (name: string): string =>
      `apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: ${name}}\nspec:\n`;
    const outbound = (policies: string): string =>
      `  targets:\n    components:\n      orders: {outbound: ${policies}}\n`;
    const files = {
      "a.yaml": `${head("one")}${outbound("{timeout: quik, retry: some, circuitBreaker: cb}")}`,
      "b.yaml": `${head("two")}  policies: {timeouts: {quick: 1s}, circuitBreakers: {cb: {}}}\n${outbound("{timeout: slow}")}`,
    };
    const { code, text } = await run(files);
    assert.deepEqual(text.split("\n"), [
      'a.yaml:7: warning: resiliency "one": spec.targets.components.orders.outbound.timeout: got "quik", want a policy that a Resiliency defines; did you mean quick?',
      'a.yaml:7: warning: resiliency "one": spec.targets.components.orders.outbound.retry: got "some", want a policy that a Resiliency defines',
      'b.yaml:8: warning: resiliency "two": spec.targets.components.orders.outbound.timeout: got "slow", want a policy that a Resiliency defines',
      "2 Resiliencies in 2 files: 0 errors, 3 warnings",
      "",
    ]);
    assert.equal(code, 0);
    const broken = await run({ ...files, "b.yaml": `${head("two")}  policies: {timeouts: {quick: soon}}\n` });
    assert.match(broken.text, /: 1 error, 0 warnings/, "what a faulty one defines is not known");
  });

  it("warns of a rule for an API that there is none of", async () => {
    const head = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: x}\nspec:\n";
    const api =
      "  api:\n    denied:\n      - {name: stat, version: v1, protocol: http}\n      - {name: $API, version: v1, protocol: http}\n";
    const { code, text } = await run({ "a.yaml": head + api });
    assert.equal(
      text,
      'a.yaml:7: warning: configuration "x": spec.api.denied[0].name: got "stat", want the name of an API of Pannier or Dapr; the rule matches nothing; did you mean state?\n1 Configuration in 1 file: 0 errors, 1 warning\n',
    );
    assert.equal(code, 0);
  });

  it("shows no secret, whatever is wrong with it", async () => {
    const bad = [
      `  - {name: redisPassword, value: 0${"7".repeat(9)}}\n`,
      "  - {name: redisPassword, value: [hunter2]}\n  - {name: REDISPASSWORD, value: hunter2}\n",
      "  - {name: redisPassword, value: hunter2, envRef: [hunter2]}\n",
      "  - name: redisPassword\n    value: *hunter2\n",
      "  - name: redisPassword\n    value: !hunter2{\n",
      "  - name: redisPassword\n    value: 'hunter2\n",
      '  - name: redisPassword\n    value: "hunter2\\q"\n',
      "  - name: redisPassword\n    value: hunter2: x\n",
    ];
    const files = bad.map((metadata, index) => [
      `${index}.yaml`,
      component(`c${index}`, `  type: state.redis\n  metadata:\n${metadata}`),
    ]);
    for (const output of ["text", "json"] as const) {
      const { code, text } = await run(Object.fromEntries(files), output);
      assert.equal(code, 1);
      assert.doesNotMatch(text, /hunter2|777777|134217727/);
    }
  });

  it("shows no value of a field that nobody knows: it may be a password with a mistyped name", async () => {
    const entries = "  metadata: [{name: redisPasword, value: 0123456}, {name: redisDB, value: 0_9}]\n";
    const { text } = await run({
      "a.yaml": component("a", `  type: state.redis\n${entries}`),
      "b.yaml": component("b", `  type: state.radish\n${entries}`),
      "c.yaml": component("c", `  type: secretstores.vault\n${entries}`),
    });
    assert.equal(text.match(/redisPasword: want quotes around the value/g)?.length, 3);
    assert.doesNotMatch(text, /0123456|42798/);
    assert.equal(text.match(/redisDB: got "0_9", want quotes around it: it is read as "9"/g)?.length, 1);
  });

  it("prints what else is wrong with a Component whose apiVersion is, or whose name", async () => {
    const redis =
      "  type: state.redis\n  metadata: [{name: redisMaxRetries, value: ten}, {name: redisHots, value: h}]\n";
    const { text } = await run({
      "a.yaml": component("a/b", redis).replace("v1alpha1", "v1"),
      "b.yaml": component("b", "  type: state.radish\n").replace(/^apiVersion.*\n/, ""),
      "c.yaml": component("c", "  version: v1\n").replace("Component", "Componnt"),
    });
    const lines = text.split("\n");
    assert.match(lines[0] ?? "", /^a\.yaml:1: .*apiVersion: got "dapr\.io\/v1", want dapr\.io\/v1alpha1/);
    assert.match(lines[1] ?? "", /^a\.yaml:3: .*metadata\.name: got "a\/b"/);
    assert.match(text, /^a\.yaml:6: .*redisMaxRetries: got "ten"/m);
    assert.match(text, /^a\.yaml:6: warning: .*redisHots: .*did you mean redisHost\?/m);
    assert.match(text, /^b\.yaml:1: .*apiVersion: want dapr\.io\/v1alpha1/m);
    assert.match(text, /^b\.yaml:4: .*spec\.type: got "state\.radish"/m);
    assert.match(text, /^c\.yaml:2: .*kind: got "Componnt", want Component/m);
  });

  it("does not tell a member that is missing twice", async () => {
    const { text } = await run({ "a.yaml": component("a", "  version: v1\n") });
    assert.equal(text.match(/spec\.type/g)?.length, 1);
    assert.match(text, /1 error, 0 warnings/);
  });

  it("calls a path that is not there an error, and so nothing to check", async () => {
    const missing = await run({}, "text", [join(folder, "nope.yaml")]);
    assert.match(missing.text, /^nope\.yaml: want a file or folder that exists and can be read; there is nothing/);
    assert.equal(missing.code, 1);
    for (const files of [
      {},
      { "a.yaml": "# nothing\n" },
      { "a.yaml": "", "b.yaml": "kind: ConfigMap\napiVersion: v1\n" },
    ]) {
      const { code, text } = await run(files);
      assert.match(text, /want at least one Component, Resiliency or Configuration; there is nothing to check/);
      assert.equal(code, 1);
    }
  });
});
