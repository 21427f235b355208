// Whom the client of Google's services trusts: a front of ours ends TLS before a server of gRPC that answers every call with
// an empty message.
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { fileURLToPath } from "node:url";
import { type Authorities, makeAuthorities } from "#test/servers/authorities.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { TlsFront } from "#test/servers/tls-front.ts";
import { keeping } from "#test/stores/bench.ts";
import { eventually } from "#test/stores/eventually.ts";

const CHILD = fileURLToPath(new URL("tls-child.ts", import.meta.url));
/** As gRPC frames a message without bytes: no compression, no length. */
const EMPTY = Buffer.alloc(5);

function answer(stream: ServerHttp2Stream): void {
  stream.on("error", () => undefined);
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.end(EMPTY);
}

describe("the client of Google's services over TLS", () => {
  const { keep } = keeping();
  let made: Authorities;
  let own: Certificates;
  let expired: Certificates;
  let elsewhere: Certificates;
  let stranger: Certificates;
  let server: Http2Server;
  let port: number;
  let child: ChildProcess;
  const sessions = new Set<ServerHttp2Session>();

  before(async () => {
    // The name that the client asks for where it knows an address only is none that it takes for the address.
    made = await makeAuthorities("DNS:elsewhere.test,DNS:googleapis.com");
    ({ own, expired, elsewhere } = made);
    stranger = await makeCertificates();
    server = createServer().on("stream", answer);
    server.on("session", (session) => sessions.add(session));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    port = typeof address === "object" && address !== null ? address.port : 0;
    child = fork(CHILD, { env: { ...process.env, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: made.file } });
  });
  after(async () => {
    if (child?.connected) {
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    }
    for (const session of sessions) session.destroy();
    await new Promise((resolve) => server.close(resolve));
    await stranger?.remove();
    await made?.remove();
  });

  async function front(certificates: Certificates): Promise<TlsFront> {
    const target = { host: "127.0.0.1", port };
    const started = await TlsFront.start({ target, certificates, protocols: ["h2"] });
    return keep(started, () => started.stop());
  }

  /** The error's message, or "" for an answer. */
  async function ask(address: string): Promise<string> {
    const told = once(child, "message");
    child.send(address);
    const [message] = await told;
    return String(message);
  }

  const refused = (address: string, why: string): string =>
    `cannot connect to spanner at ${address}: ${why}; check endpoint, and the server's certificate`;

  for (const host of ["localhost", "127.0.0.1"]) {
    it(`trusts a certificate for ${host} of an authority that gRPC was told of`, async () => {
      const { port: shown } = await front(own);
      assert.equal(await ask(`${host}:${shown}`), "");
    });

    // Node tells what a certificate has of the kind that was asked for.
    const names = host === "localhost" ? ": DNS:elsewhere.test, DNS:googleapis.com" : "";
    const wrong: readonly (readonly [of: string, certificates: () => Certificates, why: string])[] = [
      ["an unknown authority", () => stranger, "the server's certificate is of an unknown authority"],
      ["another name", () => elsewhere, `the server's certificate is for another name than ${host}${names}`],
      ["a time that is over", () => expired, "the server's certificate has expired"],
    ];
    for (const [of, certificates, why] of wrong)
      it(`refuses a certificate of ${of} at ${host}, and says so`, async () => {
        const { port: shown } = await front(certificates());
        assert.equal(await ask(`${host}:${shown}`), refused(`${host}:${shown}`, why));
      });
  }

  it("says that the time is over when it is so later, and finds back when there is a new certificate", async () => {
    const shown = await front(own);
    const address = `localhost:${shown.port}`;
    assert.equal(await ask(address), "");
    await shown.show(expired);
    // The first one may find a connection broken that was still good when it was sent.
    const told = refused(address, "the server's certificate has expired");
    await eventually(async () => assert.equal(await ask(address), told));
    await shown.show(own);
    await eventually(async () => assert.equal(await ask(address), ""));
  });
});
