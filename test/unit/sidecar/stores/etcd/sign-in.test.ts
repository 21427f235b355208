// Who may come in: mutual TLS, and etcd's users and their rights.
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { describeWithEtcd, type EtcdServer, startEtcd } from "#test/servers/etcd.ts";
import { call, onOneServer, openStore, textOf, write } from "./fixture.ts";

describeWithEtcd("an etcd server that wants certificates", () => {
  let certificates: Certificates;
  let server: EtcdServer;

  before(async () => {
    certificates = await makeCertificates();
    server = await startEtcd({ certificates });
  });
  after(async () => {
    await server.stop();
    await certificates.remove();
  });

  it("lets in who has one", async () => {
    const { authority: ca, clientCertificate: cert, clientKey: key } = certificates;
    for (const host of ["127.0.0.1", "localhost"]) {
      const given = { endpoints: `https://${host}:${server.port}`, tlsEnable: "true", ca, cert, key };
      const store = await openStore("v2", given);
      try {
        await store.set(write("k", host), call);
        assert.equal(await textOf(store, "k"), host);
      } finally {
        await store.close();
      }
    }
  });

  it("does not let in who has none, or does not speak TLS", async () => {
    const given = { endpoints: server.address, tlsEnable: "true", ca: certificates.authority };
    await assert.rejects(openStore("v2", given), { code: "unavailable" });
    await assert.rejects(openStore("v2", { endpoints: server.address }), { code: "unavailable" });
  });

  it("is not trusted under an address that its certificate does not have", async () => {
    const { authority: ca, clientCertificate: cert, clientKey: key } = certificates;
    const elsewhere = createServer((client) => {
      const onward = connect(server.port, "127.0.0.1");
      client.on("error", () => onward.destroy()).pipe(onward);
      onward.on("error", () => client.destroy()).pipe(client);
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.2", resolve));
    const address = elsewhere.address();
    const port = typeof address === "object" ? address?.port : null;
    const given = { endpoints: `127.0.0.2:${port}`, tlsEnable: "true", ca, cert, key };
    await assert.rejects(openStore("v2", given), { code: "unavailable", message: /check tlsEnable/ });
    await new Promise((resolve) => elsewhere.close(resolve));
  });

  it("is not trusted when another authority has signed its certificate", async () => {
    const others = await makeCertificates();
    const { clientCertificate: cert, clientKey: key } = certificates;
    const given = { endpoints: server.address, tlsEnable: "true", ca: others.authority, cert, key };
    await assert.rejects(openStore("v2", given), { code: "unavailable", message: /check tlsEnable, ca, cert and key/ });
    await others.remove();
  });
});

describeWithEtcd("an etcd server with users", () => {
  const { server, open } = onOneServer();
  const base64 = (text: string): string => Buffer.from(text).toString("base64");

  before(async () => {
    const ask = (path: string, body: object): Promise<unknown> => server().gateway(`/v3/auth/${path}`, body);
    for (const [name, password] of [
      ["root", "r00t"],
      ["app", "s3cr3t"],
    ])
      await ask("user/add", { name, password });
    await ask("role/add", { name: "app" });
    const perm = { permType: "READWRITE", key: base64("app/"), range_end: base64("app0") };
    await ask("role/grant", { name: "app", perm });
    await ask("user/grant", { user: "root", role: "root" });
    await ask("user/grant", { user: "app", role: "app" });
    await ask("enable", {});
  });

  it("lets in nobody by a password before its users are switched on, and says so", async () => {
    const plain = await startEtcd();
    try {
      await assert.rejects(openStore("v2", { endpoints: plain.address, username: "app", password: "s3cr3t" }), {
        code: "unavailable",
        message: /has no sign-in: leave out username and password/,
      });
    } finally {
      await plain.stop();
    }
  });

  it("lets in who has the password, with no more rights than to his path", async () => {
    const store = await open("v1", { keyPrefixPath: "app", username: "app", password: "s3cr3t" });
    await store.set(write("k", "1", { ttlSec: 100 }), call);
    assert.equal(await textOf(store, "k"), "1");
    const range = { scope: "", start: "" };
    assert.equal((await store.list?.({ range, after: null, limit: 10, values: true }, call))?.rows.length, 1);
  });

  it("names what is wrong with the sign-in, without the password", async () => {
    const wrong: [Record<string, string>, RegExp][] = [
      [{}, /wants a user; check username and password/],
      [{ username: "app", password: "wr0ng" }, /refused the user or the password; check username and password$/],
      [{ username: "nobody", password: "wr0ng" }, /check username and password$/],
      [{ username: "app", password: "s3cr3t", keyPrefixPath: "other" }, /does not let this user use the keys/],
    ];
    for (const [given, message] of wrong) {
      await assert.rejects(open("v1", { keyPrefixPath: "app", ...given }), (error: Error) => {
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /wr0ng|s3cr3t/);
        return "code" in error && error.code === "unavailable";
      });
    }
  });

  it("signs in again when the server no longer takes the token", async () => {
    const store = await open("v1", { keyPrefixPath: "app", username: "app", password: "s3cr3t" });
    await store.set(write("token", "1"), call);
    const { token } = await server().gateway("/v3/auth/authenticate", { name: "root", password: "r00t" });
    // The same password as before: what changes is that all tokens of the user end.
    await server().gateway("/v3/auth/user/changepw", { name: "app", password: "s3cr3t" }, String(token));
    await Promise.all(["2", "2", "2"].map((text) => store.set(write("token", text), call)));
    assert.equal(await textOf(store, "token"), "2");
  });
});
