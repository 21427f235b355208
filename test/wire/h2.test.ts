// HTTP/2 without TLS, by prior knowledge, on the port of HTTP/1.1 (dapr-state-api.md 1.2).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { promisify } from "node:util";
import { STORE } from "./client.ts";
import { answerOf, ask, PREFACE, SETTINGS } from "./h2-client.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";

describe("HTTP/2 by prior knowledge", () => {
  let wire: WireSidecar;
  let client: ClientHttp2Session;

  before(async () => {
    wire = await startWire({
      manifests: { "a.yaml": component("statestore", "state.in-memory") },
      settings: { bodyBytesMax: 1_000_000 },
    });
  });
  after(() => wire.stop());
  beforeEach(() => {
    client = connect(`http://127.0.0.1:${wire.sidecar.httpPort}`);
  });
  afterEach(() => client.destroy());

  const save = (key: string, value: string) =>
    ask(client, "POST", STORE, { body: `[{"key":"${key}","value":${value}}]` });
  const read = (key: string) => ask(client, "GET", `${STORE}/${key}`);

  it("saves and reads, with the same headers", async () => {
    const saved = await save("a", '{ "b": 1.0 }');
    assert.deepEqual([saved.status, saved.text], [204, ""]);
    const { status, headers, text } = await read("a");
    assert.deepEqual([status, text, headers["content-type"]], [200, '{ "b": 1.0 }', "application/json"]);
    assert.equal(headers["content-length"], "12");
    assert.match(String(headers.etag), /./);
    const conflict = await ask(client, "DELETE", `${STORE}/a`, { headers: { "If-Match": "stale" } });
    assert.equal(conflict.status, 409);
  });

  it("leaves HTTP/1.1 on the same port as it was", async () => {
    await save("both", "1");
    assert.equal((await wire.ask("GET", `${STORE}/both`)).text, "1");
  });

  it("answers what has no route, a HEAD too", async () => {
    const missing = await ask(client, "GET", "/no/such/route");
    assert.deepEqual([missing.status, JSON.parse(missing.text).errorCode], [404, "ERR_DIRECT_INVOKE"]);
    const head = await ask(client, "HEAD", `${STORE}/a`);
    assert.deepEqual([head.status, head.text], [404, ""]);
  });

  it("serves many requests of one connection at a time", async () => {
    const keys = Array.from({ length: 200 }, (_, index) => `many-${index}`);
    const saved = await Promise.all(keys.map((key) => save(key, `"${key}"`)));
    assert.ok(saved.every(({ status }) => status === 204));
    const answers = await Promise.all(keys.map(read));
    assert.deepEqual(
      answers.map(({ text }) => text),
      keys.map((key) => `"${key}"`),
    );
  });

  it("says how many at a time it takes", async () => {
    if (client.remoteSettings.maxConcurrentStreams !== 100) await once(client, "remoteSettings");
    assert.equal(client.remoteSettings.maxConcurrentStreams, 100);
  });

  it("takes a body up to the limit, refuses a larger one, and goes on", async () => {
    const fits = `"${"x".repeat(1_000_000 - '[{"key":"big","value":""}]'.length)}"`;
    assert.equal((await save("big", fits)).status, 204);
    assert.equal((await read("big")).text.length, fits.length);
    const refused = await save("big", `${fits} `);
    assert.equal(refused.status, 400);
    assert.match(refused.text, /stream too large/);
    const chunked = client.request({ ":method": "POST", ":path": STORE });
    for (let i = 0; i < 20; i++) chunked.write(Buffer.alloc(100_000, " "));
    assert.equal((await answerOf(chunked)).status, 400);
    assert.equal((await read("big")).status, 200);
  });

  it("gives back pieces of a bulk answer that is larger than the client's window", async () => {
    const value = `"${"y".repeat(300_000)}"`;
    await save("piece", value);
    const keys = { keys: ["piece", "piece", "piece"] };
    const { text } = await ask(client, "POST", `${STORE}/bulk`, { body: JSON.stringify(keys) });
    assert.equal(JSON.parse(text).length, 3);
  });

  for (const [how, breakOff] of Object.entries({
    "cancels it": (stream: ClientHttp2Stream) => stream.close(constants.NGHTTP2_CANCEL),
    "resets it without an error": (stream: ClientHttp2Stream) => stream.close(constants.NGHTTP2_NO_ERROR),
    "drops the connection": () => client.destroy(),
  })) {
    it(`writes nothing of a request that is not whole when its client ${how}`, async () => {
      const stream = client.request({ ":method": "POST", ":path": STORE });
      stream.on("error", () => undefined);
      // It looks whole: only that it has not ended tells.
      stream.write('[{"key":"broken","value":1}]');
      await new Promise((resolve) => client.ping(resolve));
      breakOff(stream);
      if (!stream.closed) await once(stream, "close");
      for (let i = 0; i < 5; i++) assert.equal((await wire.ask("GET", `${STORE}/broken`)).status, 204);
    });
  }

  it("refuses header fields that are too many bytes, and goes on", async () => {
    const huge = () => ask(client, "GET", `${STORE}/a`, { headers: { "x-huge": "x".repeat(10_000) } });
    // The first comes before the client has heard of the limit.
    await assert.rejects(huge(), { message: /ENHANCE_YOUR_CALM/ });
    await new Promise((resolve) => client.ping(resolve));
    await assert.rejects(huge(), { message: /ENHANCE_YOUR_CALM/ });
    const other = connect(`http://127.0.0.1:${wire.sidecar.httpPort}`);
    assert.equal((await ask(other, "GET", "/v1.0/healthz")).status, 204);
    other.destroy();
  });

  it("asks for a body that is held back, and refuses other expectations", async () => {
    const stream = client.request({ ":method": "POST", ":path": STORE, expect: "100-continue" });
    await once(stream, "continue");
    stream.end('[{"key":"held","value":1}]');
    assert.equal((await answerOf(stream)).status, 204);
    const { status } = await ask(client, "GET", `${STORE}/held`, { headers: { expect: "gold" } });
    assert.equal(status, 417);
  });

  it("takes the preface in pieces", async () => {
    const socket = connectTcp(wire.sidecar.httpPort, "127.0.0.1");
    for (const byte of PREFACE) {
      socket.write(byte);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    socket.write(SETTINGS);
    const [first] = await once(socket, "data");
    // The server's own SETTINGS.
    assert.equal(first[3], 4);
    socket.destroy();
  });

  it("takes a request of HTTP/1.1 in pieces that begins like the preface", async () => {
    const socket = connectTcp(wire.sidecar.httpPort, "127.0.0.1");
    for (const piece of ["P", "OST /v1.0/shut", "down/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const [first] = await once(socket, "data");
    assert.match(String(first), /^HTTP\/1\.1 404 /);
    socket.destroy();
  });

  it("leaves Upgrade: h2c unanswered: the request goes on in HTTP/1.1", async () => {
    const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAAQAAP__" };
    await save("up", "1");
    const answer = await wire.ask("GET", `${STORE}/up`, { headers });
    assert.deepEqual([answer.status, answer.text], [200, "1"]);
  });

  it("ends a connection that does nothing but open and reset, and serves the others", async () => {
    client.on("error", () => undefined);
    const closed = new Promise<void>((resolve) => {
      client.once("close", resolve);
    });
    const flood = setInterval(() => {
      for (let i = 0; i < 200 && !client.closed && !client.destroyed; i++) {
        const stream = client.request({ ":path": `${STORE}/a` });
        stream.on("error", () => undefined);
        stream.close(constants.NGHTTP2_CANCEL);
      }
    }, 1);
    await closed;
    clearInterval(flood);
    assert.equal((await wire.ask("GET", "/v1.0/healthz")).status, 204);
  });

  it("asks for the token as HTTP/1.1 does", async () => {
    const guarded = await startWire({ manifests: {}, settings: { apiToken: "s3cret" } });
    const other = connect(`http://127.0.0.1:${guarded.sidecar.httpPort}`);
    try {
      assert.equal((await ask(other, "GET", "/v1.0/metadata")).status, 401);
      assert.equal(
        (await ask(other, "GET", "/v1.0/metadata", { headers: { "dapr-api-token": "s3cret" } })).status,
        200,
      );
    } finally {
      other.destroy();
      await guarded.stop();
    }
  });

  it("can be turned off", async () => {
    const plain = await startWire({ manifests: {}, settings: { http2: false } });
    try {
      assert.match(await plain.raw(PREFACE), /^HTTP\/1\.1 400 /);
    } finally {
      await plain.stop();
    }
  });

  it("is spoken by curl", async () => {
    await save("curl", '"seen"');
    const url = `http://127.0.0.1:${wire.sidecar.httpPort}${STORE}/curl`;
    const { stdout } = await promisify(execFile)("curl", [
      "-sS",
      "--http2-prior-knowledge",
      "-w",
      " %{http_version}",
      url,
    ]);
    assert.equal(stdout, '"seen" 2');
  });
});
