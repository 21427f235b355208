// Sessions of HTTP/2: how their requests wait, end and are cut off, as a handler sees it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { AddressInfo } from "node:net";
import { type Clock, systemClock } from "#kit/clock.ts";
import type { Exchange } from "#sidecar/http/exchange.ts";
import type { Handler } from "#sidecar/http/server.ts";
import { drain } from "#sidecar/listen.ts";
import { answerOf, PREFACE, SETTINGS } from "./h2-client.ts";
import { HeldServer } from "./held-server.ts";
import { until } from "./until.ts";

/** GET /slow of the authority "x" as a whole request: a HEADERS frame of stream 1. */
const GET_SLOW: Buffer = Buffer.concat([
  Buffer.from([0, 0, 12, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x04, 5]),
  Buffer.from("/slow"),
  Buffer.from([0x01, 1]),
  Buffer.from("x"),
]);

describe("a session of HTTP/2", () => {
  let held: HeldServer;
  let client: ClientHttp2Session;
  let release: () => void;
  /** The requests for /slow, as their handler has them. */
  let exchanges: Exchange[];

  const open = async (clock: Clock = systemClock): Promise<void> => {
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    exchanges = [];
    const slow: Handler = async (exchange) => {
      exchanges.push(exchange);
      await released;
      exchange.sendText(200, "late");
    };
    const body: Handler = async (exchange) => exchange.sendText(200, String((await exchange.body(0, "")).length));
    held = new HeldServer({ "/slow": slow, "/body": body }, 0, clock);
    await held.listen();
    const { port } = held.server.address() as AddressInfo;
    client = connect(`http://127.0.0.1:${port}`);
    client.on("error", () => undefined);
  };

  afterEach(async () => {
    release();
    client.destroy();
    if (held.server.listening) await held.close();
  });

  const underWay = (count: number): Promise<void> => until(`${count} requests run`, () => exchanges.length === count);

  it("ends a request's signal when the client resets its stream", async () => {
    await open();
    const stream = client.request({ ":path": "/slow" });
    stream.on("error", () => undefined);
    await underWay(1);
    const [exchange] = exchanges;
    assert.ok(exchange !== undefined);
    const { signal } = exchange;
    assert.equal(signal.aborted, false);
    stream.close(constants.NGHTTP2_CANCEL);
    await until("it is told", () => signal.aborted);
    release();
    await until("it is answered", () => exchange.status === 200);
  });

  it("does not end the signal of a request that is answered", async () => {
    await open();
    const answer = answerOf(client.request({ ":path": "/slow" }));
    await underWay(1);
    const signal = exchanges[0]?.signal;
    release();
    assert.equal((await answer).text, "late");
    assert.equal(signal?.aborted, false);
  });

  it("answers what is under way when the server drains, tells the client to go, and ends", async () => {
    await open();
    const answer = answerOf(client.request({ ":path": "/slow" }));
    await underWay(1);
    const goaway = once(client, "goaway");
    const closed = once(client, "close");
    const drained = drain([held.server], 5_000, systemClock);
    const [code] = await goaway;
    assert.equal(code, constants.NGHTTP2_NO_ERROR);
    release();
    assert.equal((await answer).text, "late");
    await Promise.all([closed, drained]);
  });

  it("is cut when its request does not end within the drain time", async () => {
    await open();
    const stream = client.request({ ":path": "/slow" });
    stream.on("error", () => undefined);
    await underWay(1);
    const closed = once(client, "close");
    await drain([held.server], 60, systemClock);
    await closed;
  });

  it("gives up a client that does not finish its request in time", async () => {
    await open({ ...systemClock, after: (ms, task) => systemClock.after(ms > 100_000 ? 30 : ms, task) });
    const stream = client.request({ ":method": "POST", ":path": "/body" });
    stream.on("error", () => undefined);
    stream.write("x");
    await once(stream, "close");
    assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
  });

  it("ends with its requests when its client has closed its side and left", async () => {
    await open();
    client.request({ ":path": "/slow" }).on("error", () => undefined);
    await underWay(1);
    for (let i = 0; i < 5; i++) {
      const { socket } = held.open(PREFACE);
      socket.write(Buffer.concat([SETTINGS, GET_SLOW]));
      await underWay(i + 2);
      socket.end();
    }
    const signals = exchanges.slice(1).map(({ signal }) => signal);
    await until("they are told", () => signals.every(({ aborted }) => aborted));
    await until("their connections are closed", async () => (await held.connections()) === 1);
    assert.equal(exchanges[0]?.signal.aborted, false);
  });

  it("runs sixteen requests at a time, and none of those that were reset before their turn", async () => {
    await open();
    const ask = (): ClientHttp2Stream => {
      const stream = client.request({ ":path": "/slow" });
      stream.on("error", () => undefined);
      return stream;
    };
    const first = Array.from({ length: 16 }, ask);
    const [left, last] = [ask(), ask()];
    assert.ok(left !== undefined && last !== undefined);
    await underWay(16);
    left.close(constants.NGHTTP2_CANCEL);
    await new Promise((resolve) => client.ping(resolve));
    assert.equal(exchanges.length, 16);
    first[0]?.close(constants.NGHTTP2_CANCEL);
    const answer = answerOf(last);
    await underWay(17);
    release();
    assert.equal((await answer).text, "late");
    assert.equal(exchanges.length, 17);
  });

  it("holds no drain up that has not begun: nothing sent, or half a preface", async () => {
    for (const text of ["", "PRI * HT"]) {
      await open({ ...systemClock, after: () => ({ cancel: () => undefined }) });
      client.destroy();
      held.open(text);
      await until("it is connected", () => held.accepted.length === 2);
      await drain([held.server], 1_000_000_000, systemClock);
    }
  });

  it("never begins for a client that sends nothing, or half a preface", async () => {
    const due: (() => void)[] = [];
    await open({
      ...systemClock,
      after(_ms, task) {
        due.push(task);
        return { cancel: () => undefined };
      },
    });
    client.destroy();
    for (const [nth, text] of ["", "PRI * HT"].entries()) {
      const { socket } = held.open(text);
      const ended = once(socket, "end");
      // Bytes that nobody has read would be answered by a reset.
      await until("what it sends is read", () => held.accepted[nth + 1]?.bytesRead === text.length);
      for (const task of due.splice(0)) task();
      await ended;
      socket.end();
    }
  });
});
