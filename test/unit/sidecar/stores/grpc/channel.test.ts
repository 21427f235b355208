// When a channel of gRPC is closed, of its connections stay those that may carry a call, and no other.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from "node:http2";
import type { Server, Socket } from "node:net";
import { createServer } from "node:tls";
import { Channel } from "#sidecar/stores/grpc/channel.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { until } from "#test/wire/until.ts";

const asIs = (bytes: Buffer): Buffer => bytes;
/** gRPC's frame around a message of no bytes. */
const EMPTY_MESSAGE = Buffer.alloc(5);

describe("a channel of gRPC that is closed", () => {
  let certificates: Certificates;
  let identity: { readonly cert: Buffer; readonly key: Buffer; readonly ALPNProtocols: string[] };
  const sockets = new Set<Socket>();
  let server: Server | Http2SecureServer | null = null;
  before(async () => {
    certificates = await makeCertificates();
    const [cert, key] = await Promise.all([
      readFile(certificates.serverCertificateFile),
      readFile(certificates.serverKeyFile),
    ]);
    identity = { cert, key, ALPNProtocols: ["h2"] };
  });
  after(() => certificates?.remove());
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    const ending = server;
    server = null;
    if (ending !== null) await new Promise((resolve) => ending.close(resolve));
  });

  /** Gives a channel to `made`, which listens from then on. */
  async function channelTo(made: Server | Http2SecureServer): Promise<Channel> {
    server = made;
    made.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
    const address = made.address();
    assert.ok(address !== null && typeof address === "object");
    const tls = { ca: Buffer.from(certificates.authority), cert: null, key: null, nameless: "test" };
    return new Channel({ address: `127.0.0.1:${address.port}`, tls, options: {} });
  }

  function call({ client }: Channel, withinMs: number): Promise<Error | Buffer> {
    return new Promise((resolve) => {
      const options = { deadline: Date.now() + withinMs };
      client.makeUnaryRequest("/test/Call", asIs, asIs, Buffer.alloc(0), options, (error, answer) =>
        resolve(error ?? answer ?? new Error("no answer")),
      );
    });
  }

  it("leaves no connection whose server says nothing behind TLS", async () => {
    let secured = 0;
    const silent = createServer(identity, (socket) => {
      secured++;
      socket.on("error", () => socket.destroy());
      socket.resume();
    });
    const channel = await channelTo(silent);
    const outcome = call(channel, 30_000);
    await until("TLS stands", () => secured > 0);
    assert.equal(sockets.size, 1);
    channel.close();
    await until("the server has no connection left", () => sockets.size === 0);
    assert.ok((await outcome) instanceof Error);
  });

  it("lets a call that is under way go on", async () => {
    const speaking = createSecureServer(identity);
    const asked = new Promise<ServerHttp2Stream>((resolve) => speaking.once("stream", resolve));
    const channel = await channelTo(speaking);
    const outcome = call(channel, 30_000);
    const stream = await asked;
    channel.close();
    // What closing does to a connection is done by then.
    await new Promise((resolve) => setImmediate(resolve));
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(EMPTY_MESSAGE);
    assert.deepEqual(await outcome, Buffer.alloc(0));
    await until("the server has no connection left", () => sockets.size === 0);
  });
});
