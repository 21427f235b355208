// MongoDB over TLS, by the options of a connection: a front of ours ends TLS before a server that speaks none.
import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "#sidecar/stores/store.ts";
import { type Authorities, makeAuthorities } from "#test/servers/authorities.ts";
import type { Certificates } from "#test/servers/certificates.ts";
import { describeWithMongodb } from "#test/servers/mongodb.ts";
import { TlsFront, type TlsFrontOptions } from "#test/servers/tls-front.ts";
import { call, eventually, onOneServer, openStore, read, textOf, write } from "./fixture.ts";

/** By these the tests that wait for a server which never becomes of use end soon. */
const SOON = "serverSelectionTimeoutMS=500";
const HINT = "; check tls in params, and the server's certificate";

describeWithMongodb("MongoDB over TLS", () => {
  const { server, keep } = onOneServer();
  let made: Authorities;
  let folder: string;
  let own: Certificates;
  let expired: Certificates;
  let elsewhere: Certificates;
  /** Files of the authorities of all, and of a client's certificate with its key. */
  let authorities: string;
  let identity: string;

  before(async () => {
    made = await makeAuthorities();
    ({ own, expired, elsewhere, file: authorities, folder } = made);
    identity = join(folder, "client.pem");
    await writeFile(identity, own.clientCertificate + own.clientKey);
  });
  after(() => made?.remove());

  async function front(certificates: Certificates, more: Partial<TlsFrontOptions> = {}): Promise<TlsFront> {
    const started = await TlsFront.start({ target: server(), certificates, ...more });
    return keep(started, () => started.stop());
  }

  async function open({ port }: { readonly port: number }, ...options: readonly string[]): Promise<Store> {
    const fields = { host: `127.0.0.1:${port}`, params: `?${[SOON, ...options].join("&")}` };
    const store = await openStore({ fields });
    return keep(store, () => store.close());
  }

  const refuses = (opening: Promise<Store>, port: number, why: string): Promise<void> =>
    assert.rejects(opening, { code: "unavailable", message: `cannot connect to mongodb at 127.0.0.1:${port}${why}` });

  it("trusts a server whose authority tlsCAFile names", async () => {
    const { port } = await front(own);
    const store = await open({ port }, "tls=true", `tlsCAFile=${encodeURIComponent(own.authorityFile)}`);
    await store.set(write("tls", '"1"'), call);
    assert.equal(await textOf(store, "tls"), '"1"');
  });

  it("takes the same options in connectionString", async () => {
    const { port } = await front(own);
    const options = `${SOON}&tls=true&tlsCAFile=${encodeURIComponent(own.authorityFile)}`;
    const store = await openStore({ fields: { connectionString: `mongodb://localhost:${port}/?${options}` } });
    keep(store, () => store.close());
    await store.ping(call);
  });

  it("refuses a server of an authority that nobody named", async () => {
    const { port } = await front(own);
    const why = `: the server's certificate is of an unknown authority${HINT}`;
    await refuses(open({ port }, "tls=true"), port, why);
    await refuses(open({ port }, "tls=true", `tlsCAFile=${expired.authorityFile}`), port, why);
    // What these options are for: nothing else is wrong with it.
    for (const option of ["tlsInsecure", "tlsAllowInvalidCertificates"])
      await open({ port }, "tls=true", `${option}=true`);
  });

  it("refuses a certificate of another name, unless tlsAllowInvalidHostnames says otherwise", async () => {
    const { port } = await front(elsewhere);
    const trusting = ["tls=true", `tlsCAFile=${authorities}`];
    await refuses(
      open({ port }, ...trusting),
      port,
      `: the server's certificate is for another name than 127.0.0.1${HINT}`,
    );
    await open({ port }, ...trusting, "tlsAllowInvalidHostnames=true");
  });

  it("refuses a certificate whose time is over", async () => {
    const { port } = await front(expired);
    const opening = open({ port }, "tls=true", `tlsCAFile=${authorities}`);
    await refuses(opening, port, `: the server's certificate has expired${HINT}`);
  });

  it("says so to requests too when the time is over later, and finds back when there is a new one", async () => {
    const shown = await front(own);
    const { port } = shown;
    const store = await open(shown, "tls=true", `tlsCAFile=${authorities}`, "heartbeatFrequencyMS=500");
    await store.set(write("later", "1"), call);
    await shown.show(expired);
    const told = {
      code: "unavailable",
      message: `cannot connect to mongodb at 127.0.0.1:${port}: the server's certificate has expired${HINT}`,
    };
    // The first one may find a connection broken that was still good when it was sent.
    await eventually(() => assert.rejects(store.get("later", read, call), told));
    await assert.rejects(store.set(write("later", "2"), call), told);
    await shown.show(own);
    await eventually(async () => assert.equal(await textOf(store, "later"), "1"));
  });

  for (const version of ["TLS 1.2", "TLS 1.3"]) {
    const clientCertificates = version === "TLS 1.3" ? true : "tls-1.2";

    it(`shows the certificate of tlsCertificateKeyFile to a server that wants one, over ${version}`, async () => {
      const { port } = await front(own, { clientCertificates });
      const trusting = ["tls=true", `tlsCAFile=${own.authorityFile}`];
      const store = await open({ port }, ...trusting, `tlsCertificateKeyFile=${identity}`);
      await store.ping(call);
    });

    it(`says that the server wants a certificate where there is none, over ${version}`, async () => {
      const { port } = await front(own, { clientCertificates });
      const why =
        version === "TLS 1.3"
          ? "the server wants a certificate of the client"
          : "the server refused the TLS handshake, as it does without a client's certificate";
      const told = `: ${why}; see tlsCertificateKeyFile in docs/stores/mongodb.md`;
      // Its word can be lost when it goes with words of the client's unread.
      await eventually(() => refuses(open({ port }, "tls=true", `tlsCAFile=${own.authorityFile}`), port, told));
    });
  }

  for (const option of ["tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile"])
    it(`names ${option} when its file is not there or is none`, async () => {
      const { port } = await front(own);
      for (const [path, code] of [
        [join(folder, "nowhere.pem"), "ENOENT"],
        [folder, "EISDIR"],
      ])
        await assert.rejects(open({ port }, "tls=true", `${option}=${path}`), {
          code: "unavailable",
          message: `cannot read the file of ${option}: ${code}; give the path of a PEM file`,
        });
    });

  it("opens the key of a client by tlsCertificateKeyFilePassword, and says when that does not", async () => {
    const { port } = await front(own, { clientCertificates: true });
    const key = createPrivateKey(own.clientKey);
    const locked = key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "s3cr3t" });
    const file = join(folder, "locked.pem");
    await writeFile(file, own.clientCertificate + locked.toString());
    const trusting = ["tls=true", `tlsCAFile=${own.authorityFile}`, `tlsCertificateKeyFile=${file}`];
    await open({ port }, ...trusting, "tlsCertificateKeyFilePassword=s3cr3t");
    const why = ": tlsCertificateKeyFilePassword does not open the key in tlsCertificateKeyFile";
    await refuses(open({ port }, ...trusting, "tlsCertificateKeyFilePassword=other"), port, why);
    await refuses(open({ port }, ...trusting), port, why);
  });

  const unfit: readonly (readonly [what: string, option: string, text: () => string, why: string])[] = [
    [
      "a client's key without its certificate",
      "tlsCertificateKeyFile",
      () => own.clientKey,
      "tlsCertificateKeyFile does not hold a certificate and its key as PEM text",
    ],
    [
      "a client's certificate without its key",
      "tlsCertificateKeyFile",
      () => own.clientCertificate,
      "tlsCertificateKeyFile does not hold a certificate and its key as PEM text",
    ],
    [
      "another's key beside a client's certificate",
      "tlsCertificateKeyFile",
      () => own.clientCertificate + elsewhere.clientKey,
      "the key in tlsCertificateKeyFile is not that of the certificate in it",
    ],
    [
      "a certificate in place of a list of revoked ones",
      "tlsCRLFile",
      () => own.clientCertificate,
      "tlsCRLFile does not hold a list of revoked certificates as PEM text",
    ],
  ];
  for (const [what, option, text, why] of unfit)
    it(`says what is wrong with ${option} when it holds ${what}`, async () => {
      const { port } = await front(own);
      const file = join(folder, "unfit.pem");
      await writeFile(file, text());
      await refuses(open({ port }, "tls=true", `${option}=${file}`), port, `: ${why}`);
    });

  it("says what a server may be that ends the handshake", async () => {
    const { port } = server();
    const why = `: the server broke off the TLS handshake, as one does that speaks none${HINT}`;
    await refuses(open({ port }, "tls=true"), port, why);
  });

  it("says to a server that wants TLS that it may be that", async () => {
    const { port } = await front(own);
    const why = ": it ends connections without an answer; check tls in params";
    await refuses(open({ port }, "tls=false"), port, why);
  });
});
