// When a channel of gRPC is closed, of its connections stay those that may carry a call, and no other.
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readFile } from "node:fs/promises";
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from "node:http2";
import { connect, createServer as createPlainServer, type Server, type Socket } from "node:net";
import { createServer } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { Channel } from "#sidecar/stores/grpc/channel.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { until } from "#test/wire/until.ts";

const asIs = (bytes: Buffer): Buffer => bytes;
/** gRPC's frame around a message of no bytes. */
const EMPTY_MESSAGE = Buffer.alloc(5);

/** Listens, tells where, and stands still: what comes then is taken by the system, until its queue is full. */
const STANDING_STILL = `
const { parentPort } = require("node:worker_threads");
const server = require("node:net").createServer();
server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
});`;
const QUEUE = 2;

/** A port that answers nobody any more. */
async function startFull(): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const worker = new Worker(STANDING_STILL, { eval: true });
  const port: number = await new Promise((resolve) => worker.once("message", resolve));
  let queued = 0;
  const fillers = Array.from({ length: 4 * QUEUE }, () => {
    const filler = connect(port, "127.0.0.1", () => queued++);
    return filler.on("error", () => undefined);
  });
  await until("the queue is full", () => queued >= QUEUE);
  return {
    port,
    async stop() {
      for (const filler of fillers) filler.destroy();
      await worker.terminate();
    },
  };
}

interface Watched {
  /** Others may be among them that another test has left. */
  readonly sockets: readonly Socket[];
  stop(): void;
}

/** The sockets that connect from now on. */
function watch(): Watched {
  const sockets: Socket[] = [];
  const note = (message: unknown): void => void sockets.push((message as { readonly socket: Socket }).socket);
  subscribe("net.client.socket", note);
  return { sockets, stop: () => void unsubscribe("net.client.socket", note) };
}

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

  it("leaves no connection whose TLS was never agreed on", async () => {
    let begun = 0;
    const silent = createPlainServer((socket) => void socket.once("data", () => begun++));
    const channel = await channelTo(silent);
    const outcome = call(channel, 30_000);
    await until("a handshake has begun", () => begun > 0);
    channel.close();
    await until("the server has no connection left", () => sockets.size === 0);
    assert.ok((await outcome) instanceof Error);
  });

  it("leaves no connection that was not made yet", async () => {
    const { port, stop } = await startFull();
    const made = watch();
    try {
      const channel = new Channel({ address: `127.0.0.1:${port}`, tls: null, options: {} });
      const outcome = call(channel, 30_000);
      const connecting = (): readonly Socket[] => made.sockets.filter((each) => each.connecting);
      await until("there is a socket", () => connecting().length > 0);
      channel.close();
      assert.equal(connecting().length, 0);
      assert.ok((await outcome) instanceof Error);
    } finally {
      made.stop();
      await stop();
    }
  });

  it("has kept nothing of the connections that had ended before", async () => {
    const speaking = createSecureServer(identity, (_request, response) => response.stream.close());
    const ended: WeakRef<object>[] = [];
    const note = (message: unknown): void =>
      void ended.push(new WeakRef((message as { readonly socket: Socket }).socket));
    subscribe("net.client.socket", note);
    const channel = await channelTo(speaking);
    try {
      while (ended.length < 5) {
        await call(channel, 30_000);
        for (const socket of sockets) socket.destroy();
        await until("the connection has ended", () => sockets.size === 0);
      }
    } finally {
      unsubscribe("net.client.socket", note);
    }
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    // The library may remember the last ones.
    await until("the first ones are forgotten", () => {
      collect();
      return ended.slice(0, 3).every((each) => each.deref() === undefined);
    });
    channel.close();
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
