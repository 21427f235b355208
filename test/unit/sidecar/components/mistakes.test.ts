// Mistakes in a manifest while the sidecar serves: no typo takes a store out, and what is meant as an end is one.
import assert from "node:assert/strict";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import type { ComponentHost } from "#sidecar/components/host.ts";
import { Bench, inMemoryManifest, manifest, putV, states, valueIn } from "./bench.ts";

describe("a mistake in a manifest that is in use", () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.setUp();
  });
  afterEach(() => bench.tearDown());

  async function startWith(content: string, name = "a.yaml"): Promise<ComponentHost> {
    await bench.write(name, content);
    return bench.start();
  }

  const memory = inMemoryManifest("memory");
  const resiliency = memory.replace("kind: Component", "kind: Resiliency");
  const MISTAKES = {
    "a kind that there is none of": memory.replace("kind: Component", "kind: Compo"),
    "a kind in lower case": memory.replace("kind: Component", "kind: component"),
    "no kind": memory.replace("kind: Component\n", ""),
    "another apiVersion": memory.replace("v1alpha1", "v1alpha2"),
    "no apiVersion": memory.replace(/^apiVersion.*\n/, ""),
    "an empty type": memory.replace("state.in-memory", '""'),
    "no type": memory.replace("type: state.in-memory, ", ""),
    "text instead of a mapping": "memory\n",
    "a mistake in another document": `${resiliency}---\na: b\n`,
  };
  for (const [what, content] of Object.entries(MISTAKES)) {
    it(`keeps a store and its data while its file has ${what}`, async () => {
      const host = await startWith(`${memory}---\n${manifest("one", "1")}`);
      await putV(host, "memory");
      await bench.write("a.yaml", content);
      await host.reload();
      assert.deepEqual(states(host), ["memory kept", "one kept"]);
      assert.equal(await valueIn(host, "memory"), "v");
      assert.match(host.statuses()[0]?.message ?? "", /a\.yaml cannot be used as it is.*line \d+: /);
      assert.equal(bench.lines.filter((line) => line.includes("cannot be used as it is")).length, 1);
      assert.deepEqual(bench.reloads, [
        ["memory", false],
        ["one", false],
      ]);
      await bench.write("a.yaml", `# mended\n${memory}`);
      await host.reload();
      assert.deepEqual(states(host), ["memory ready"]);
      assert.equal(await valueIn(host, "memory"), "v");
    });
  }

  it("keeps a store whose document has got a name that no store can have", async () => {
    const host = await startWith(memory);
    await bench.write("a.yaml", memory.replace("name: memory", "name: me/mory"));
    await host.reload();
    assert.deepEqual(states(host), ["memory kept", "me/mory failed"]);
  });

  it("keeps a store whose JSON file has no apiVersion any more", async () => {
    const json =
      '{"apiVersion": "dapr.io/v1alpha1", "kind": "Component", "metadata": {"name": "memory"}, "spec": {"type": "state.in-memory"}}';
    const host = await startWith(json, "a.json");
    await bench.write("a.json", json.replace("apiVersion", "apiVersoin"));
    await host.reload();
    assert.deepEqual(states(host), ["memory kept"]);
  });

  const TURNED_OFF = {
    "another kind": resiliency,
    "a ConfigMap": "apiVersion: v1\nkind: ConfigMap\n",
    "a Component of another building block": memory.replace("state.in-memory", "pubsub.redis"),
    "a Component for another app": `${memory}scopes: [other]\n`,
    "only remarks": memory.replaceAll(/^/gm, "# "),
  };
  for (const [what, content] of Object.entries(TURNED_OFF)) {
    it(`removes a store whose file has become ${what}`, async () => {
      const host = await startWith(memory);
      await bench.write("a.yaml", content);
      await host.reload();
      assert.deepEqual(states(host), []);
      assert.deepEqual(bench.reloads, []);
    });
  }

  it("keeps a store that moves to another file with a mistake in it", async () => {
    const host = await startWith(memory);
    await putV(host, "memory");
    await bench.write("b.yaml", MISTAKES["a kind that there is none of"]);
    await unlink(join(bench.folder, "a.yaml"));
    await host.reload();
    assert.deepEqual(states(host), ["memory kept"]);
    assert.match(host.statuses()[0]?.message ?? "", /b\.yaml:2: kind: got "Compo", want Component/);
    await bench.write("b.yaml", memory);
    await host.reload();
    assert.deepEqual(states(host), ["memory ready"]);
    assert.equal(await valueIn(host, "memory"), "v");
  });

  it("keeps a secret store that moves to another file with a mistake in it, and who takes secrets from it", async () => {
    bench.env = { PASSWORD: "hunter2" };
    const vars = memory.replace("memory", "vars").replace("state.in-memory", "secretstores.local.env");
    const reference = {
      metadata: "  - {name: password, secretKeyRef: {name: PASSWORD}}\n",
      top: "auth: {secretStore: vars}\n",
    };
    await bench.write("one.yaml", manifest("one", "1", reference));
    const host = await startWith(vars);
    await bench.write("b.yaml", vars.replace("kind: Component", "kind: Compo"));
    await unlink(join(bench.folder, "a.yaml"));
    await host.reload();
    assert.deepEqual(states(host), ["vars kept", "one ready"]);
    await bench.write("b.yaml", vars);
    await host.reload();
    assert.deepEqual(states(host), ["vars ready", "one ready"]);
    assert.deepEqual(bench.reloads, [
      ["vars", false],
      ["vars", true],
    ]);
  });

  it("minds no mistake in a document for another app or namespace", async () => {
    await bench.write("a.yaml", manifest("one", "1"));
    const host = await bench.start({ namespace: "ns" });
    const broken = manifest("two", "1", { spec: "  ignoreErrors: perhaps\n" });
    const elsewhere = broken.replace("name: two", "name: two\n  namespace: far");
    await bench.write("a.yaml", `${manifest("one", "2")}---\n${broken}scopes: [other]\n---\n${elsewhere}`);
    await host.reload();
    assert.deepEqual(states(host), ["one ready"]);
    assert.deepEqual(
      bench.opened.map(({ label }) => label),
      ["1", "2"],
    );
  });

  it("keeps a store whose document has a mistake and names another app at the same time", async () => {
    const host = await startWith(memory);
    await bench.write("a.yaml", `${MISTAKES["an empty type"]}scopes: [other]\n`);
    await host.reload();
    assert.deepEqual(states(host), ["memory kept"]);
  });
});
