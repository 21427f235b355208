// Who may come in and how: passwords, ACL users, databases, TLS with and without a client certificate.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import tls from "node:tls";
import type { Store } from "#sidecar/stores/store.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import {
  call,
  deletion,
  etagOf,
  eventually,
  listeningLog,
  onServersOfItsOwn,
  openStore,
  plainClient,
  read,
  removal,
  textOf,
  upsert,
  write,
} from "./fixture.ts";

const RIGHTS = "+evalsha +eval +hmget +hget +hset +hincrby +get +exists +del +expire +persist +pttl +ping +select";

describeWithRedis("signing in to Redis", () => {
  const { start, open } = onServersOfItsOwn();

  async function works(store: Store): Promise<void> {
    await store.set(write("app||k", "1"), call);
    assert.equal(await textOf(store, "app||k"), "1");
  }

  it("works with a password alone", async () => {
    const server = await start({ args: ["--requirepass", "s3cret"] });
    await works(await open(server.port, { redisPassword: "s3cret" }));
  });

  it("goes on with a warning when the server wants no password", async () => {
    const server = await start();
    const log = listeningLog();
    await works(await open(server.port, { redisPassword: "s3cret" }, log));
    assert.match(log.warnings.join("\n"), /wants no password/);
    assert.doesNotMatch(log.warnings.join("\n"), /s3cret/);
  });

  it("works as an ACL user who has only the rights that the docs list, on its own keys", async () => {
    const server = await start({ acl: ["user default off", `user app on >s3cret ~app||* -@all ${RIGHTS}`] });
    const store = await open(server.port, { redisUsername: "app", redisPassword: "s3cret" });
    await works(store);
    await store.set(write("app||k", "2", { etag: "1", ttlSec: 100, firstWrite: true }), call);
    await store.transact?.([upsert("app||l", "1"), deletion("app||k")], call);
    await store.remove(removal("app||l", { etag: "1" }), call);
    const forbidden = { code: "unavailable", message: /ACL user.*docs\/stores\/redis\.md/ };
    await assert.rejects(store.get("other||k", read, call), forbidden);
    await assert.rejects(store.set(write("other||k", "1"), call), forbidden);
  });

  it("works with the ACL line of the docs page, strong writes included", async () => {
    const page = readFileSync(new URL("../../../../../docs/stores/redis.md", import.meta.url), "utf8");
    const line = /^user app on >password .*$/m.exec(page)?.[0] ?? "";
    const master = await start({ acl: ["user default on nopass ~* +@all", line] });
    await start({ args: ["--replicaof", "127.0.0.1", String(master.port)] });
    const fields = { redisUsername: "app", redisPassword: "password", redisDB: "1", strongAcks: "1" };
    const store = await open(master.port, fields);
    await eventually(() => store.set(write("orders-app||k", "1", { strong: true, ttlSec: 100 }), call));
    assert.equal(await textOf(store, "orders-app||k"), "1");
    const asConnected = await open(master.port, { ...fields, strongAcks: "connected" });
    await asConnected.set(write("orders-app||k", "2", { strong: true }), call);
    await store.transact?.([deletion("orders-app||k", { etag: await etagOf(store, "orders-app||k") })], call);
  });

  it("says that a write may have happened when a right is missing in the middle of a script", async () => {
    const server = await start({ acl: ["user default off", "user app on >s3cret ~* +@all -expire"] });
    const store = await open(server.port, { redisUsername: "app", redisPassword: "s3cret" });
    const halfway = { code: "unknown-outcome", message: /ACL user.*docs\/stores\/redis\.md/ };
    await assert.rejects(store.set(write("k", "1", { ttlSec: 100 }), call), halfway);
    await store.set(write("k", "2"), call);
  });

  it("writes into the database of redisDB, also after a lost connection", async () => {
    const server = await start();
    const store = await open(server.port, { redisDB: "3" });
    const inThree = plainClient(server.port, { db: 3 });
    await store.set(write("k", "1"), call);
    await inThree.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await eventually(() => store.set(write("k", "2"), call));
    assert.equal(await inThree.hget("k", "data"), "2");
    inThree.disconnect();
    const inZero = plainClient(server.port);
    assert.equal(await inZero.exists("k"), 0);
    inZero.disconnect();
  });

  it("does not open on a database that is not there", async () => {
    const server = await start();
    await assert.rejects(openStore({ port: server.port, fields: { redisDB: "99" } }), { message: /check redisDB/ });
  });

  describe("over TLS", () => {
    let certificates: Certificates;
    const trusted = tls.getCACertificates("default");
    before(async () => {
      certificates = await makeCertificates();
    });
    afterEach(() => tls.setDefaultCACertificates(trusted));
    after(() => certificates?.remove());

    it("verifies the server's certificate", async () => {
      const server = await start({ tls: { certificates, clientCertificates: false } });
      await assert.rejects(openStore({ port: server.port, fields: { enableTLS: "true" } }), {
        code: "unavailable",
        message: /certificate.*check the certificates of both sides/,
      });
      tls.setDefaultCACertificates([certificates.authority]);
      await works(await open(server.port, { enableTLS: "true" }));
    });

    it("refuses a certificate that was made for another name", async () => {
      const server = await start({ tls: { certificates, clientCertificates: false } });
      tls.setDefaultCACertificates([certificates.authority]);
      const fields = { redisHost: `127.0.0.2:${server.port}`, enableTLS: "true" };
      await assert.rejects(openStore({ port: server.port, fields }), { code: "unavailable" });
    });

    it("does without verification when it is told to, and warns", async () => {
      const server = await start({ tls: { certificates, clientCertificates: false } });
      const log = listeningLog();
      await works(await open(server.port, { enableTLS: "true", insecureSkipTLSVerify: "true" }, log));
      assert.match(log.warnings.join("\n"), /certificate is not verified/);
    });

    it("shows its own certificate to a server that demands one", async () => {
      const server = await start({ tls: { certificates, clientCertificates: true } });
      const skip = { enableTLS: "true", insecureSkipTLSVerify: "true" };
      await assert.rejects(openStore({ port: server.port, fields: skip }), { code: "unavailable" });
      const { clientCertificate: clientCert, clientKey } = certificates;
      await works(await open(server.port, { ...skip, clientCert, clientKey }));
      const unknown = { enableTLS: "true", clientCert, clientKey };
      await assert.rejects(openStore({ port: server.port, fields: unknown }), { message: /check the certificates/ });
    });

    it("says what is wrong when it meets a server without TLS, or the reverse", async () => {
      const plain = await start();
      await assert.rejects(openStore({ port: plain.port, fields: { enableTLS: "true", dialTimeout: "1s" } }), {
        code: "unavailable",
      });
      const secure = await start({ tls: { certificates, clientCertificates: false } });
      await assert.rejects(openStore({ port: secure.port, fields: { dialTimeout: "1s" } }), { code: "unavailable" });
    });
  });
});
