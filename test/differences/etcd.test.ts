// The rows of docs/differences.md that show on etcd, over HTTP against a real server.
import assert from "node:assert/strict";
import { driver } from "#sidecar/stores/etcd/etcd.ts";
import { describeWithEtcd, type EtcdServer, startEtcd } from "#test/servers/etcd.ts";
import { PEM } from "#test/stores/pem.ts";
import { ask, save } from "#test/wire/client.ts";
import { tellsExpiry } from "#test/wire/expiry.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithEtcd("differences on etcd", () => {
  let server: EtcdServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startEtcd();
    const v1 = component("v1", "state.etcd", { endpoints: server.address, keyPrefixPath: "v1" });
    const v2 = component("v2", "state.etcd", { endpoints: server.address, keyPrefixPath: "v2" });
    wire = await startWire({ manifests: { "a.yaml": v1, "b.yaml": v2.replace("version: v1", "version: v2") } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  const VERSIONS = ["v1", "v2"];
  const to = (store: string): string => `/v1.0/state/${store}`;
  const put = async (store: string, ...items: object[]): Promise<number> =>
    (await ask(wire, "POST", to(store), items)).status;
  const transact = async (store: string, ...operations: object[]): Promise<number> =>
    (await ask(wire, "POST", `${to(store)}/transaction`, { operations })).status;
  const text = async (store: string, key: string): Promise<string> =>
    (await ask(wire, "GET", `${to(store)}/${key}`)).text;
  const header = async (store: string, key: string, name: string): Promise<unknown> =>
    (await ask(wire, "GET", `${to(store)}/${key}`)).headers[name];
  const upsert = (key: string, value: unknown, more: object = {}): object => ({
    operation: "upsert",
    request: { key, value, ...more },
  });

  it("E20: of many writes with one ETag one is made, and the others are told so", async () => {
    for (const store of VERSIONS) {
      await save(wire, "e20", "0", to(store));
      const etag = await header(store, "e20", "etag");
      const plain = Array.from({ length: 20 }, (_, value) => put(store, { key: "e20", value, etag }));
      const inside = Array.from({ length: 20 }, (_, value) => transact(store, upsert("e20", value, { etag })));
      const statuses = await Promise.all([...plain, ...inside]);
      assert.deepEqual(statuses.sort(), [204, ...new Array(39).fill(409)]);
    }
  });

  it("E21: a TTL that is shorter than the servers grant is refused", async () => {
    for (const store of VERSIONS) {
      const answer = await ask(wire, "POST", to(store), [{ key: "e21", value: 1, metadata: { ttlInSeconds: "1" } }]);
      assert.equal(answer.status, 400);
      assert.match(answer.text, /keeps no shorter time than 2 s/);
      assert.equal(await put(store, { key: "e21", value: 1, metadata: { ttlInSeconds: "2" } }), 204);
    }
  });

  it("E22: the time of expiry is told where a value expires, and nowhere else", async () => {
    for (const store of VERSIONS) {
      const fromMs = Date.now();
      await put(store, { key: "e22", value: 1, metadata: { ttlInSeconds: "100" } });
      const told = await header(store, "e22", "metadata.ttlexpiretime");
      tellsExpiry(told, { fromMs, untilMs: Date.now(), ttlSec: 100 });
      await save(wire, "e22", "1", to(store));
      assert.equal(await header(store, "e22", "metadata.ttlexpiretime"), undefined);
    }
  });

  it("E23: a transaction may change a key twice, and has 128 operations", async () => {
    for (const store of VERSIONS) {
      assert.equal(await transact(store, upsert("e23", 1), upsert("e23", 2)), 204);
      assert.equal(await text(store, "e23"), "2");
      const many = Array.from({ length: 128 }, (_, index) => upsert(`e23-${index}`, index));
      assert.equal(await transact(store, ...many), 204);
      assert.equal(await transact(store, ...many, upsert("e23-128", 128)), 400);
    }
  });

  it("E24: an ETag that is empty is none", async () => {
    for (const store of VERSIONS) {
      await save(wire, "e24", "1", to(store));
      assert.equal(await put(store, { key: "e24", value: 2, etag: "" }), 204);
      assert.equal(await text(store, "e24"), "2");
    }
  });

  it("E25: TLS needs no client certificate, and there are users", () => {
    const given = { endpoints: "etcd:2379", tlsEnable: "true", ca: PEM, username: "app", password: "s3cr3t" };
    const properties = Object.entries(given).map(([name, value]) => ({ name, value, secret: false }));
    assert.deepEqual(driver.decode(properties, []).faults, []);
  });
});
