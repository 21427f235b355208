// Clients that end their side of a connection, and clients that ask for an upgrade: over a server whose handlers the test
// holds in its hand.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type Clock, systemClock } from "#kit/clock.ts";
import { HeldServer, head, type Routes, statuses } from "./held-server.ts";
import { until } from "./until.ts";

/** Waits three times as long as it is asked to: an answer that comes in time must do so on a busy machine too. */
const slowClock: Clock = { ...systemClock, after: (ms, task) => systemClock.after(3 * ms, task) };
/** A fraction of the time after which a client that has ended its side counts as gone; a few of them are longer. */
const LATER_MS = 700;

describe("a client", () => {
  let held: HeldServer;
  /** Told by the handlers: what they have run. */
  let ran: string[];

  beforeEach(async () => {
    ran = [];
    const routes: Routes = {
      "/waiting": async ({ signal }) => {
        ran.push("waiting");
        if (!signal.aborted) await once(signal, "abort");
        ran.push("left");
      },
      "/later/{text}": async (exchange) => {
        await new Promise((resolve) => setTimeout(resolve, LATER_MS));
        ran.push(exchange.parameter(0));
        exchange.sendNothing();
      },
      "/body": async (exchange) => {
        ran.push((await exchange.body(100, "")).toString());
        exchange.sendNothing();
      },
    };
    held = new HeldServer(routes, 100, slowClock);
    await held.listen();
  });

  afterEach(() => held.close());

  describe("that has ended its side", () => {
    // RFC 9113, 4.1 and RFC 7541, 6.2.2: an empty SETTINGS frame, and a GET whose fields are in no table.
    const literal = (name: string, value: string): string =>
      `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`;
    const fields = [
      literal(":method", "GET"),
      literal(":scheme", "http"),
      literal(":path", "/waiting"),
      literal(":authority", "x"),
    ].join("");
    const frames = `\0\0\0\x04\0\0\0\0\0\0\0${String.fromCharCode(fields.length)}\x01\x05\0\0\0\x01${fields}`;

    for (const [protocol, text] of [
      ["HTTP/1.1", head("GET", "/waiting")],
      ["HTTP/2", `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${frames}`],
    ] as const) {
      it(`counts as gone when nothing is sent to it for a while, over ${protocol}`, async () => {
        const { socket } = held.open(text);
        await until("the request is served", () => ran.length === 1);
        socket.end();
        await until("its handler is told", async () => ran.length === 2 && (await held.connections()) === 0);
        assert.deepEqual(ran, ["waiting", "left"]);
      });
    }

    it("gets every answer that comes in time, however long they take together", async () => {
      const texts = Array.from({ length: 6 }, (_, index) => head("GET", `/later/${index}`));
      const { socket, seen } = held.open(texts.join(""));
      socket.end();
      await until("all are answered", () => statuses(seen()).length === 6);
      assert.deepEqual(ran, ["0", "1", "2", "3", "4", "5"]);
    });
  });

  describe("that asks for an upgrade", () => {
    const upgrade = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"];

    it("goes on in HTTP/1.1 over the same connection", async () => {
      const { socket, seen } = held.open(`${head("POST", "/body", ...upgrade, "Content-Length: 4")}text`);
      await until("it is answered", () => statuses(seen()).length === 1);
      assert.doesNotMatch(seen(), /Connection: close/);
      socket.write(head("GET", "/later/b"));
      await until("the next is answered", () => statuses(seen()).length === 2);
      assert.deepEqual(
        [ran, statuses(seen())],
        [
          ["text", "b"],
          ["204", "204"],
        ],
      );
    });

    it("is told that the connection ends when it has sent more behind that, which nobody reads", async () => {
      const requests = [
        head("GET", "/later/a", ...upgrade) + head("GET", "/later/b"),
        head("GET", "/later/a") + head("GET", "/later/b", ...upgrade) + head("GET", "/later/c"),
      ];
      for (const text of requests) {
        const { seen } = held.open(text);
        await until("the connection ends", async () => seen() !== "" && (await held.connections()) === 0);
        assert.match(seen(), /Connection: close\r\n(?!.*HTTP\/1\.1)/s);
      }
      assert.deepEqual(ran, ["a", "a", "b"]);
    });
  });
});
