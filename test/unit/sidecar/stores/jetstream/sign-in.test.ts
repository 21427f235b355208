// Who signs in at NATS, by URL and by JWT, what a user without rights is told, and TLS.
import assert from "node:assert/strict";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { jwtAuthenticator, nkeys } from "@nats-io/transport-node";
import { makeCertificates } from "#test/servers/certificates.ts";
import { describeWithNats, type NatsServer, openBucket, startNats } from "#test/servers/nats.ts";
import { call, openStore, textOf, write } from "./fixture.ts";

const RIGHTS = `
authorization { users: [
  { user: app, password: "s3cr3t/%" },
  { user: reader, password: r, permissions: { publish: ["$JS.API.>"], subscribe: [">"] } },
  { user: nobody, password: n, permissions: { publish: { deny: ">" }, subscribe: [">"] } },
] }`;

describeWithNats("a user of NATS", () => {
  let server: NatsServer;
  before(async () => {
    server = await startNats({ settings: [RIGHTS] });
    await (await openBucket(server.url, "state", {}, { user: "app", pass: "s3cr3t/%" })).close();
  });
  after(() => server.stop());
  const as = (userinfo: string): string => server.url.replace("//", `//${userinfo}@`);

  it("signs in by the URL", async () => {
    const store = await openStore({ natsURL: as("app:s3cr3t%2F%25") });
    await store.set(write("k", "1"), call);
    assert.equal(await textOf(store, "k"), "1");
    await store.close();
  });

  it("is refused with a wrong password, and without one, and it is not shown", async () => {
    for (const natsURL of [as("app:wr0ng"), server.url]) {
      const message = `NATS at 127.0.0.1:${server.port} refused the user; check jwt and seedKey, or the user in natsURL`;
      await assert.rejects(openStore({ natsURL }), { code: "unavailable", message });
    }
  });

  it("is told what it may not do", async () => {
    const app = await openStore({ natsURL: as("app:s3cr3t%2F%25") });
    await app.set(write("k", "1"), call);
    await app.close();
    const reader = await openStore({ natsURL: as("reader:r") });
    await assert.rejects(reader.set(write("k", "2"), call), {
      code: "unavailable",
      message: /publish there; see the rights/,
    });
    assert.equal(await textOf(reader, "k"), "1");
    await reader.close();
    await assert.rejects(openStore({ natsURL: as("nobody:n") }), { code: "unavailable", message: /see the rights/ });
  });
});

describeWithNats("a token of NATS", () => {
  it("signs in by the URL", async () => {
    const server = await startNats({ settings: ['authorization { token: "s3cr3t/%" }'] });
    await (await openBucket(server.url, "state", {}, { token: "s3cr3t/%" })).close();
    const as = (token: string): string => server.url.replace("//", `//${token}@`);
    const store = await openStore({ natsURL: as("s3cr3t%2F%25") });
    await store.set(write("k", "1"), call);
    assert.equal(await textOf(store, "k"), "1");
    await store.close();
    await assert.rejects(openStore({ natsURL: as("wr0ng") }), { code: "unavailable", message: /refused the user/ });
    await server.stop();
  });
});

const DAY_SEC = 86_400;

/** A JWT of NATS' own kind: about `subject`, signed by `issuer`. */
function jwtOf(issuer: nkeys.KeyPair, subject: nkeys.KeyPair, name: string, nats: object): string {
  const encode = (value: object | Uint8Array): string =>
    Buffer.from(value instanceof Uint8Array ? value : JSON.stringify(value)).toString("base64url");
  const nowSec = Math.floor(Date.now() / 1000);
  const claims = {
    jti: name,
    iat: nowSec,
    exp: nowSec + DAY_SEC,
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name,
    nats: { version: 2, ...nats },
  };
  const text = `${encode({ typ: "JWT", alg: "ed25519-nkey" })}.${encode(claims)}`;
  return `${text}.${encode(issuer.sign(new TextEncoder().encode(text)))}`;
}

describeWithNats("a user with a JWT", () => {
  it("signs in with its seed, and with no other", async () => {
    const [operator, system, account] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createAccount()];
    const [user, other] = [nkeys.createUser(), nkeys.createUser()];
    const none = { subs: -1, conn: -1, leaf: -1, imports: -1, exports: -1, data: -1, payload: -1, wildcards: true };
    const room = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
    const systemJwt = jwtOf(operator, system, "SYS", { type: "account", limits: none });
    const accountJwt = jwtOf(operator, account, "APP", { type: "account", limits: { ...none, ...room } });
    const userJwt = jwtOf(account, user, "app", { type: "user", subs: -1, data: -1, payload: -1 });
    const server = await startNats({
      settings: [
        `operator: "${jwtOf(operator, operator, "OP", { type: "operator", system_account: system.getPublicKey() })}"`,
        `system_account: ${system.getPublicKey()}`,
        "resolver: MEMORY",
        `resolver_preload: { ${system.getPublicKey()}: "${systemJwt}", ${account.getPublicKey()}: "${accountJwt}" }`,
      ],
    });
    const seedOf = (pair: nkeys.KeyPair): string => new TextDecoder().decode(pair.getSeed());
    try {
      const authenticator = jwtAuthenticator(userJwt, user.getSeed());
      await (await openBucket(server.url, "state", {}, { authenticator })).close();
      const store = await openStore({ natsURL: server.url, jwt: userJwt, seedKey: seedOf(user) });
      await store.set(write("k", "1"), call);
      assert.equal(await textOf(store, "k"), "1");
      await store.close();
      await assert.rejects(openStore({ natsURL: server.url, jwt: userJwt, seedKey: seedOf(other) }), {
        code: "unavailable",
        message: /refused the user; check jwt and seedKey/,
      });
    } finally {
      await server.stop();
    }
  });
});

describeWithNats("a NATS server with TLS", () => {
  it("is spoken to when its certificate is trusted, and by nobody else", async () => {
    const certificates = await makeCertificates();
    const files = `cert_file: "${certificates.serverCertificateFile}", key_file: "${certificates.serverKeyFile}"`;
    const server = await startNats({ settings: [`tls { ${files} }`] });
    const before = getCACertificates("default");
    try {
      const natsURL = `tls://127.0.0.1:${server.port}`;
      await assert.rejects(openStore({ natsURL }), { code: "unavailable", message: /certificate/ });
      setDefaultCACertificates([...before, certificates.authority]);
      await (await openBucket(server.url, "state")).close();
      for (const url of [natsURL, server.url, `tls://localhost:${server.port}`]) {
        const store = await openStore({ natsURL: url });
        await store.set(write("k", "1"), call);
        await store.close();
      }
    } finally {
      setDefaultCACertificates(before);
      await server.stop();
      await certificates.remove();
    }
  });

  it("may let others in without it, as Dapr's client comes, while it is for whoever asks for it", async () => {
    const certificates = await makeCertificates();
    const files = `cert_file: "${certificates.serverCertificateFile}", key_file: "${certificates.serverKeyFile}"`;
    const server = await startNats({ settings: [`tls { ${files} }`, "allow_non_tls: true"] });
    const before = getCACertificates("default");
    try {
      setDefaultCACertificates([...before, certificates.authority]);
      await (await openBucket(server.url, "state")).close();
      setDefaultCACertificates(before);
      const store = await openStore({ natsURL: server.url });
      await store.set(write("k", "1"), call);
      await store.close();
      const natsURL = `tls://127.0.0.1:${server.port}`;
      await assert.rejects(openStore({ natsURL }), { code: "unavailable", message: /certificate/ });
    } finally {
      setDefaultCACertificates(before);
      await server.stop();
      await certificates.remove();
    }
  });

  it("is asked for by the URL: a server without it is refused", async () => {
    const server = await startNats();
    const natsURL = `tls://127.0.0.1:${server.port}`;
    const message = `cannot connect to NATS at 127.0.0.1:${server.port}: it speaks no TLS; use nats:// in natsURL`;
    await assert.rejects(openStore({ natsURL }), { code: "unavailable", message });
    await server.stop();
  });
});
