// Changes of the core's fields of an open store: key prefix, marks, encryption keys. The store itself stays open.
import assert from "node:assert/strict";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import type { ComponentHost } from "#sidecar/components/host.ts";
import { Bench, found, inMemoryManifest, manifest, putV, severalLooks, states, valueIn, waitUntil } from "./bench.ts";

const HEX = ["00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"] as const;

function prefixed(prefix: string, label = "1"): string {
  return manifest("one", label, { metadata: `  - {name: keyPrefix, value: ${prefix}}\n` });
}

/** A manifest with keys: fields to keys of the secret "keys". */
function keyed(fields: Readonly<Record<string, string>>): string {
  const entries = Object.entries(fields).map(
    ([field, key]) => `  - {name: ${field}, secretKeyRef: {name: keys, key: ${key}}}\n`,
  );
  return manifest("one", "1", { metadata: entries.join(""), top: "auth: {secretStore: vault}\n" });
}

describe("a change of the core's fields", () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.setUp();
  });
  afterEach(() => bench.tearDown());

  const opened = (): string[] => bench.opened.map(({ label, closed }) => `${label}${closed ? " closed" : ""}`);

  async function startWith(content: string): Promise<ComponentHost> {
    await bench.write("a.yaml", content);
    return bench.start();
  }

  async function startWithKeys(content: string, secrets: object): Promise<ComponentHost> {
    await writeSecrets(secrets);
    await bench.write("vault.yaml", vault());
    return startWith(content);
  }

  function vault(): string {
    const file = `{name: secretsFile, value: ${join(bench.folder, "secrets.json")}}`;
    const spec = `secretstores.local.file, metadata: [${file}, {name: multiValued, value: "true"}]`;
    return inMemoryManifest("vault").replace("state.in-memory, version: v1", spec);
  }

  const writeSecrets = (keys: object): Promise<void> => bench.write("secrets.json", JSON.stringify({ keys }));

  it("takes another key prefix over the open store, whose data stay", async () => {
    const host = await startWith(prefixed("first"));
    const before = found(host, "one");
    await putV(host, "one");
    await bench.write("a.yaml", prefixed("second"));
    await waitUntil(() => found(host, "one").keyPrefix === "second||");
    assert.equal(found(host, "one").store, before.store);
    assert.equal(before.keyPrefix, "first||", "calls under way end as they began");
    assert.equal(await valueIn(host, "one"), "v");
    assert.deepEqual(opened(), ["1"]);
    assert.deepEqual(bench.reloads, [["one", true]]);
    assert.deepEqual(states(host), ["one ready"]);
    assert.ok(bench.logged(/Component updated: one .*its store stays open/));
  });

  it("opens the store again when its own settings differ too", async () => {
    const host = await startWith(prefixed("first"));
    await bench.write("a.yaml", prefixed("second", "2"));
    await waitUntil(() => found(host, "one").keyPrefix === "second||");
    await waitUntil(() => bench.opened[0]?.closed === true);
    assert.deepEqual(opened(), ["1 closed", "2"]);
  });

  it("keeps the store open until the calls of both entries have ended", async () => {
    const host = await startWith(prefixed("first"));
    const before = found(host, "one");
    before.enter();
    await bench.write("a.yaml", prefixed("second"));
    await waitUntil(() => found(host, "one") !== before);
    const after = found(host, "one");
    assert.equal(after.calls, 1);
    after.enter();
    await unlink(join(bench.folder, "a.yaml"));
    await waitUntil(() => host.size === 0);
    after.leave();
    await severalLooks();
    assert.deepEqual(opened(), ["1"]);
    before.leave();
    await waitUntil(() => bench.opened[0]?.closed === true);
  });

  it("leaves the store's health what it is", async () => {
    const host = await startWith(prefixed("first"));
    const down = { up: false, sinceMs: 7, message: "no answer" } as const;
    const before = found(host, "one");
    before.health = down;
    await bench.write("a.yaml", prefixed("second"));
    await waitUntil(() => found(host, "one") !== before);
    assert.equal(found(host, "one").health, down);
  });

  it("ends what was wrong with the manifest before", async () => {
    const host = await startWith(prefixed("first"));
    await bench.write("a.yaml", prefixed('"a||b"'));
    await waitUntil(() => states(host)[0] === "one kept");
    await bench.write("a.yaml", prefixed("second"));
    await waitUntil(() => states(host)[0] === "one ready");
    assert.equal(found(host, "one").keyPrefix, "second||");
    assert.deepEqual(opened(), ["1"]);
  });

  it("counts for a store that is still being opened", async () => {
    bench.hanging.add("2");
    const host = await startWith(prefixed("first"));
    await bench.write("a.yaml", prefixed("second", "2"));
    await severalLooks();
    await bench.write("a.yaml", prefixed("third", "2"));
    await severalLooks();
    bench.hanging.clear();
    await waitUntil(() => found(host, "one").keyPrefix === "third||");
    await waitUntil(() => opened().filter((each) => each === "2").length === 1);
  });

  it("takes another key over when the file of secrets changes, without a word of it", async () => {
    const rotating = keyed({ primaryEncryptionKey: "a", secondaryEncryptionKey: "b" });
    const host = await startWithKeys(rotating, { a: HEX[0], b: HEX[0] });
    const before = found(host, "one");
    const sealed = before.core.cipher?.seal(Buffer.from("v"), false) ?? assert.fail("not encrypted");
    await writeSecrets({ a: HEX[1], b: HEX[0] });
    await waitUntil(() => found(host, "one") !== before);
    const after = found(host, "one");
    assert.equal(after.store, before.store);
    assert.equal(Buffer.from(after.core.cipher?.open(sealed) ?? []).toString(), "v");
    const bySecond = after.core.cipher?.seal(Buffer.from("w"), false) ?? assert.fail("not encrypted");
    assert.throws(() => before.core.cipher?.open(bySecond), /could not decrypt/);
    assert.deepEqual(opened(), ["1"]);
    assert.ok(!bench.logged(new RegExp(HEX.join("|"))));
    assert.equal(bench.lines.filter((line) => line.includes("4 billion")).length, 2, "once for each key");
  });

  it("takes another name of the same key over, since values end with it", async () => {
    await bench.write("secrets.json", JSON.stringify({ keys: { a: HEX[0] }, others: { a: HEX[0] } }));
    await bench.write("vault.yaml", vault());
    const first = keyed({ primaryEncryptionKey: "a" });
    const host = await startWith(first);
    const before = found(host, "one");
    await bench.write("a.yaml", first.replace("{name: keys,", "{name: others,"));
    await waitUntil(() => found(host, "one") !== before);
    const sealed = found(host, "one").core.cipher?.seal(Buffer.from("v"), false);
    assert.match(Buffer.from(sealed ?? []).toString(), /\|\|others$/);
  });

  it("is refused when a key goes wrong, and the store stays encrypted as it was", async () => {
    const wanted = { primaryEncryptionKey: "a" };
    const host = await startWithKeys(keyed(wanted), { a: HEX[0] });
    const before = found(host, "one");
    for (const bad of [{ a: "" }, { a: `${HEX[1]}00` }, { b: HEX[1] }]) {
      await writeSecrets(bad);
      await waitUntil(() => states(host).includes("one kept"));
      assert.equal(found(host, "one"), before);
      await writeSecrets({ a: HEX[0] });
      await waitUntil(() => states(host).includes("one ready"));
    }
    for (const bad of ["primaryEncryptionKye", "secondaryEncryptionKey", "encryptionKey", "encryption"]) {
      await bench.write("a.yaml", keyed({ [bad]: "a" }));
      await waitUntil(() => states(host).includes("one kept"));
      assert.equal(found(host, "one"), before);
      await bench.write("a.yaml", keyed(wanted));
      await waitUntil(() => states(host).includes("one ready"));
    }
    const messages = JSON.stringify([host.statuses(), bench.lines]);
    for (const hex of HEX) assert.ok(!messages.includes(hex));
  });

  it("does not turn an encrypted store into plain text, whatever else changes", async () => {
    const wanted = keyed({ primaryEncryptionKey: "a" });
    const host = await startWithKeys(wanted, { a: HEX[0] });
    const before = found(host, "one");
    const plain = [manifest("one", "1"), manifest("one", "2"), prefixed("other"), inMemoryManifest("one")];
    for (const content of plain) {
      await bench.write("a.yaml", content);
      await host.reload();
      await host.reload();
      assert.equal(found(host, "one"), before);
      assert.deepEqual(states(host), ["vault ready", "one kept"]);
      const message = host.statuses()[1]?.message ?? "";
      assert.match(message, /primaryEncryptionKey: want the key that it has had/);
      assert.match(
        message,
        /give it back, or restart the sidecar to stop encrypting on purpose; see docs\/encryption\.md/,
      );
      await bench.write("a.yaml", wanted);
      await host.reload();
      assert.deepEqual(states(host), ["vault ready", "one ready"]);
    }
    assert.ok(bench.logged(/Failed to init component one .*want the key that it has had.*the last good one stays/));
    const refused = bench.reloads.filter(([name, success]) => name === "one" && !success);
    assert.equal(refused.length, plain.length, "once for each, however often the files are read");
    assert.deepEqual(opened(), ["1"]);
  });

  it("ends an attempt to open an encrypted store elsewhere when its key goes", async () => {
    const host = await startWithKeys(keyed({ primaryEncryptionKey: "a" }), { a: HEX[0] });
    const before = found(host, "one");
    bench.hanging.add("2");
    await bench.write("a.yaml", keyed({ primaryEncryptionKey: "a" }).replace("value: 1", "value: 2"));
    await severalLooks();
    await bench.write("a.yaml", manifest("one", "2"));
    await waitUntil(() => states(host).includes("one kept"));
    bench.hanging.clear();
    await severalLooks();
    assert.equal(found(host, "one"), before);
  });

  it("may take a key to a store that had none, and back while that one does not open", async () => {
    const host = await startWithKeys(manifest("one", "1"), { a: HEX[0] });
    bench.failing.set("2", "refused");
    await bench.write("a.yaml", keyed({ primaryEncryptionKey: "a" }).replace("value: 1", "value: 2"));
    await waitUntil(() => states(host).includes("one kept"));
    await bench.write("a.yaml", manifest("one", "1"));
    await waitUntil(() => states(host).includes("one ready"));
    await bench.write("a.yaml", keyed({ primaryEncryptionKey: "a" }));
    await waitUntil(() => found(host, "one").core.cipher !== null);
  });
});
