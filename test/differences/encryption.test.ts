// The rows of docs/differences.md on encryption.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { never, systemClock } from "#kit/clock.ts";
import { noMetrics } from "#sidecar/metrics.ts";
import { noPolicies } from "#sidecar/state/policies.ts";
import type { SaveRequest } from "#sidecar/state/requests.ts";
import { StateService } from "#sidecar/state/service.ts";
import { transact } from "#sidecar/state/transact.ts";
import { ask, errorOf, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { until } from "#test/wire/until.ts";

const ONE = "00112233445566778899aabbccddeeff";
const TWO = "ffeeddccbbaa99887766554433221100";
const PRIMARY = "primaryEncryptionKey";
const SECONDARY = "secondaryEncryptionKey";

/** Fields to YAML of where their values come from. */
type Entries = Readonly<Record<string, string>>;

const fromSecret = (name: string, key = name): string => `secretKeyRef: { name: ${name}, key: ${key} }`;

function encrypted(entries: Entries): string {
  const lines = Object.entries(entries).map(([field, source]) => `    - name: ${field}\n      ${source}\n`);
  const head = component("statestore", "state.in-memory").replace("  metadata: []\n", "  metadata:\n");
  return `${head}${lines.join("")}auth:\n  secretStore: local\n`;
}

const local = component("local", "secretstores.local.env");
const env = { ONE, TWO, EMPTY: "" };

async function over(entries: Entries, test: (wire: WireSidecar) => Promise<void>): Promise<void> {
  const wire = await startWire({ manifests: { "local.yaml": local, "store.yaml": encrypted(entries) }, env });
  try {
    await test(wire);
  } finally {
    await wire.stop();
  }
}

/** The reason why a sidecar does not start with such a Component. It shows no key. */
async function refused(entries: Entries, secrets = local): Promise<string> {
  const starting = startWire({ manifests: { "local.yaml": secrets, "store.yaml": encrypted(entries) }, env });
  const error: unknown = await starting.then(
    async (wire) => {
      await wire.stop();
      return "started";
    },
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Error, String(error));
  for (const key of [ONE, TWO]) assert.ok(!error.message.includes(key));
  return error.message;
}

const read = async (wire: WireSidecar, key: string): Promise<string> =>
  (await ask(wire, "GET", `${STORE}/${key}`)).text;

/** Writes past the encryption. */
async function put(wire: WireSidecar, key: string, value: string): Promise<void> {
  const entry = wire.sidecar.stores.find("statestore");
  const plain = { isJson: false, etag: null, firstWrite: false, strong: false, ttlSec: null, metadata: {} };
  const signal = new AbortController().signal;
  await entry?.store.set({ key: entry.keyPrefix + key, bytes: Buffer.from(value), ...plain }, { signal });
}

describe("differences in encryption", () => {
  it("E1: what is encrypted over HTTP is JSON text, and a string its characters or its JSON text", async () => {
    const values = ['{"b":1,"a":2}', "1000000", "null", "true", "[1,2]"];
    await over({ [PRIMARY]: fromSecret("ONE") }, async (wire) => {
      for (const value of [...values, '"text"']) {
        await save(wire, "e1", value);
        assert.equal(await read(wire, "e1"), value === '"text"' ? "text" : value);
      }
    });
    await over({ [PRIMARY]: fromSecret("ONE"), encryptedStrings: "value: json" }, async (wire) => {
      await save(wire, "e1", '"text"');
      assert.equal(await read(wire, "e1"), '"text"');
    });
  });

  it("E2: a transaction of bytes, as gRPC sends them, encrypts the bytes", () =>
    over({ [PRIMARY]: fromSecret("ONE") }, async (wire) => {
      const parts = {
        stores: wire.sidecar.stores,
        clock: systemClock,
        metrics: noMetrics,
        policies: noPolicies,
        ending: never,
      };
      const shared = { etag: "", options: { concurrency: "", consistency: "" }, metadata: {}, retry: null };
      const requests: SaveRequest[] = [
        { key: "e2-raw", bytes: Buffer.from("hi{"), isJson: false, ...shared },
        { key: "e2-json", bytes: Buffer.from('"quoted"'), isJson: true, ...shared },
      ];
      const operations = requests.map((request) => ({ operation: "upsert", request }));
      const call = { signal: new AbortController().signal };
      await transact(new StateService(parts), "statestore", operations, call);
      assert.deepEqual([await read(wire, "e2-raw"), await read(wire, "e2-json")], ["hi{", '"quoted"']);
    }));

  it("E3: a value without a key's name, or with an unknown one, is an error that says what to do", () =>
    over({ [PRIMARY]: fromSecret("ONE") }, async (wire) => {
      await save(wire, "good", "1");
      await put(wire, "plain", '{"a":1}');
      await put(wire, "nameless", "QUFB||");
      await put(wire, "foreign", "QUFB||other");
      for (const key of ["plain", "nameless", "foreign"]) {
        const answer = await ask(wire, "GET", `${STORE}/${key}`);
        assert.equal(answer.status, 500);
        assert.match(
          errorOf(answer).message,
          /could not decrypt data for state store statestore: .*write (it|the value) again/,
        );
      }
      const bulk = await ask(wire, "POST", `${STORE}/bulk`, { keys: ["plain", "good"] });
      assert.match(bulk.text, /"key":"plain","error":"could not decrypt.*"key":"good","data":1,/s);
    }));

  it("E4: of two keys in one secret the second is tried too", () =>
    over({}, async (wire) => {
      const secretsFile = join(wire.folder, "secrets.json");
      await writeFile(secretsFile, JSON.stringify({ keys: { one: ONE, two: TWO } }));
      const vault = component("vault", "secretstores.local.file", { secretsFile, multiValued: "true" });
      await writeFile(join(wire.folder, "vault.yaml"), vault);
      const write = (entries: Entries): Promise<void> =>
        writeFile(
          join(wire.folder, "store.yaml"),
          encrypted(entries).replace("secretStore: local", "secretStore: vault"),
        );
      const isEncrypted = (): boolean => wire.sidecar.stores.find("statestore")?.core.cipher !== null;
      await write({ [PRIMARY]: fromSecret("keys", "one") });
      await until("there is a key", isEncrypted);
      await save(wire, "e4", '"kept"');
      const before = wire.sidecar.stores.find("statestore");
      await write({ [PRIMARY]: fromSecret("keys", "two"), [SECONDARY]: fromSecret("keys", "one") });
      await until("the keys have changed", () => wire.sidecar.stores.find("statestore") !== before);
      assert.equal(await read(wire, "e4"), "kept");
    }));

  it("E5: a key that comes from no secret is refused", async () => {
    for (const source of [`value: ${ONE}`, "envRef: ONE"])
      assert.match(await refused({ [PRIMARY]: source }), /primaryEncryptionKey: want a secretKeyRef/);
  });

  it("E6: a key counts in any case of its name, and a mistyped name is refused", async () => {
    await over({ PrimaryEncryptionKey: fromSecret("ONE") }, async (wire) => {
      assert.notEqual(wire.sidecar.stores.find("statestore")?.core.cipher, null);
    });
    assert.match(await refused({ primaryEncriptionKey: fromSecret("ONE") }), /want primaryEncryptionKey; .*plain text/);
    assert.match(await refused({ encryptionKey: fromSecret("ONE") }), /encryptionKey: want .*; .*plain text/);
  });

  it("E7: changed keys are taken over, the store stays open, and a reload without any key is an error", () =>
    over({ [PRIMARY]: fromSecret("ONE") }, async (wire) => {
      await save(wire, "e7", '"kept"');
      const before = wire.sidecar.stores.find("statestore");
      const swapped = encrypted({ [PRIMARY]: fromSecret("TWO"), [SECONDARY]: fromSecret("ONE") });
      await writeFile(join(wire.folder, "store.yaml"), swapped);
      await until("the keys have changed", () => wire.sidecar.stores.find("statestore") !== before);
      assert.equal(wire.sidecar.stores.find("statestore")?.store, before?.store);
      assert.equal(await read(wire, "e7"), "kept");
      await writeFile(join(wire.folder, "store.yaml"), component("statestore", "state.in-memory"));
      await wire.sidecar.reload();
      assert.equal(await read(wire, "e7"), "kept");
      assert.match((await ask(wire, "GET", "/pannier/v1/health")).text, /"state":"kept".*restart the sidecar to stop/);
    }));

  it("M6: a store is not opened without the key that it names", async () => {
    const keyed = { [PRIMARY]: fromSecret("ONE") };
    assert.match(await refused(keyed, ""), /primaryEncryptionKey: want a secret store "local"/);
    assert.match(await refused({ [PRIMARY]: fromSecret("NONE") }), /want a secret "NONE" in secret store "local"/);
    assert.match(await refused({ [PRIMARY]: fromSecret("EMPTY") }), /primaryEncryptionKey: want an AES key/);
    assert.match(await refused({ [SECONDARY]: fromSecret("ONE") }), /want a key beside secondaryEncryptionKey/);
  });
});
