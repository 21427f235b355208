// The rows of docs/differences.md that show on Firestore, over HTTP against the emulator.
import assert from "node:assert/strict";
import { driver } from "#sidecar/stores/firestore/firestore.ts";
import { openContext } from "#test/conformance/case.ts";
import { properties } from "#test/conformance/subject.ts";
import { judge } from "#test/docs/judgement.ts";
import { type DatastoreServer, describeWithDatastore, startDatastore } from "#test/servers/datastore.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithDatastore("differences on Firestore", () => {
  let server: DatastoreServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startDatastore();
    const manifest = component("statestore", "state.gcp.firestore", server.metadata);
    wire = await startWire({ manifests: { "a.yaml": manifest } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  const put = async (item: object): Promise<number> => (await ask(wire, "POST", STORE, [item])).status;
  const text = async (key: string): Promise<string> => (await ask(wire, "GET", `${STORE}/${key}`)).text;
  const storedValue = async (name: string): Promise<unknown> => {
    const { found } = await server.ask("lookup", { keys: [{ path: [{ kind: "DaprState", name }] }] });
    return Array.isArray(found) ? found[0]?.entity?.properties?.Value : undefined;
  };

  it("FS1: ETags and first-write count, over what Dapr wrote too", async () => {
    const upsert = {
      key: { path: [{ kind: "DaprState", name: "wire||fs1" }] },
      properties: { Value: { stringValue: "1" } },
    };
    await server.ask("commit", { mode: "NON_TRANSACTIONAL", mutations: [{ upsert }] });
    const { headers } = await ask(wire, "GET", `${STORE}/fs1`);
    assert.equal(await put({ key: "fs1", value: 2, options: { concurrency: "first-write" } }), 409);
    assert.deepEqual(
      [
        await put({ key: "fs1", value: 3, etag: headers.etag }),
        await put({ key: "fs1", value: 4, etag: headers.etag }),
      ],
      [204, 409],
    );
    assert.equal(await text("fs1"), "3");
  });

  it("FS2: a transaction applies all or nothing", async () => {
    await save(wire, "fs2", "1");
    const operations = (etag: string | undefined): object[] => [
      { operation: "upsert", request: { key: "fs2-new", value: 2 } },
      { operation: "delete", request: { key: "fs2", etag } },
    ];
    const transact = async (etag: string | undefined): Promise<number> =>
      (await ask(wire, "POST", `${STORE}/transaction`, { operations: operations(etag) })).status;
    const { headers } = await ask(wire, "GET", `${STORE}/fs2`);
    assert.equal(await transact("1"), 409);
    assert.deepEqual([await text("fs2-new"), await text("fs2")], ["", "1"]);
    assert.equal(await transact(String(headers.etag)), 204);
    assert.deepEqual([await text("fs2-new"), await text("fs2")], ["2", ""]);
  });

  it("FS3: a TTL is refused", async () => {
    assert.equal(await put({ key: "fs3", value: 1, metadata: { ttlInSeconds: "10" } }), 400);
    assert.equal(await text("fs3"), "");
  });

  it("FS4: a value of more than 1500 bytes is kept without noIndex", async () => {
    const value = "x".repeat(2000);
    assert.equal(await put({ key: "fs4", value }), 204);
    assert.equal(JSON.parse(await text("fs4")), value);
    assert.deepEqual(await storedValue("wire||fs4"), { stringValue: JSON.stringify(value), excludeFromIndexes: true });
  });

  it("FS5: bytes that are no UTF-8 are kept, as a blob", async () => {
    // A body's values are JSON; that the bytes come back is proved by the conformance suite.
    const name = "wire||fs5";
    const upsert = { key: { path: [{ kind: "DaprState", name }] }, properties: { Value: { blobValue: "AP/+" } } };
    await server.ask("commit", { mode: "NON_TRANSACTIONAL", mutations: [{ upsert }] });
    const { status, bytes } = await ask(wire, "GET", `${STORE}/fs5`);
    assert.deepEqual([status, [...bytes]], [200, [0, 255, 254]]);
  });

  it("FS6: an emulator's endpoint counts beside a key, with a warning", async () => {
    const key = { private_key_id: "k", client_email: "a@b", private_key: "-----BEGIN PRIVATE KEY-----" };
    const { code, report } = await judge(component("other", "state.gcp.firestore", { ...server.metadata, ...key }));
    assert.equal(code, 0);
    assert.match(report, /endpoint: .*the data go to this emulator.*Dapr goes to the service/);
  });

  it("FS7: the fields have names in camel case too", async () => {
    const camel = { projectId: "p", privateKeyId: "k", clientEmail: "a@b", privateKey: "-----BEGIN PRIVATE KEY-----" };
    const { code, report } = await judge(component("other", "state.gcp.firestore", camel));
    assert.deepEqual([code, report], [0, "1 Component in 1 file: 0 errors, 0 warnings\n"]);
  });

  it("FS8: a key in double underscores is refused with what is wrong", async () => {
    const bare = component("bare", "state.gcp.firestore", { ...server.metadata, keyPrefix: "none" });
    const other = await startWire({ manifests: { "a.yaml": bare } });
    try {
      const answer = await ask(other, "POST", "/v1.0/state/bare", [{ key: "__a__", value: 1 }]);
      assert.equal(answer.status, 400);
      assert.match(answer.text, /a key in double underscores, which are Datastore's own/);
    } finally {
      await other.stop();
    }
  });

  it("FS9: an emulator that only the environment names is not asked", async () => {
    const { DATASTORE_EMULATOR_HOST: before } = process.env;
    process.env.DATASTORE_EMULATOR_HOST = server.address;
    const key = { private_key_id: "k", client_email: "a@b", private_key: "-----BEGIN PRIVATE KEY-----" };
    try {
      const opened = driver
        .decode(properties({ project_id: "test", ...key }), [])
        .open(openContext(AbortSignal.timeout(30_000), []));
      // At an emulator nobody signs in.
      await assert.rejects(opened, { message: "cannot sign in at Google: private_key is no key that can be read" });
    } finally {
      if (before === undefined) delete process.env.DATASTORE_EMULATOR_HOST;
      else process.env.DATASTORE_EMULATOR_HOST = before;
    }
  });
});
