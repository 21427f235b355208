// What a server says first tells whether it is one of NATS, and whether it wants TLS.
import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import { systemClock } from "#kit/clock.ts";
import { type Greeting, greeted } from "#sidecar/stores/jetstream/greeting.ts";

const WITHIN_MS = 5_000;

describe("the greeting of a NATS server", () => {
  const servers: Server[] = [];
  afterEach(async () => {
    const ending = servers.splice(0);
    await Promise.all(ending.map((server) => new Promise((resolve) => server.close(resolve))));
  });

  async function from(greet: (socket: Socket) => void): Promise<Greeting> {
    const listening = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      // Or it would not see that the other side has gone.
      socket.resume();
      greet(socket);
    });
    servers.push(listening);
    await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
    const address = listening.address();
    assert.ok(address !== null && typeof address === "object");
    return greeted({
      server: `127.0.0.1:${address.port}`,
      clock: systemClock,
      withinMs: WITHIN_MS,
      leaving: new AbortController().signal,
    });
  }
  const saying = (text: string): Promise<Greeting> => from((socket) => void socket.write(text));

  it("tells whether TLS comes next: where the server must have it, and where it can", async () => {
    assert.deepEqual(await saying('INFO {"tls_required":true,"tls_available":true}\r\n'), { tls: "required" });
    assert.deepEqual(await saying('INFO {"tls_available":true}\r\n'), { tls: "offered" });
    assert.deepEqual(await saying('INFO {"server_id":"a"} \r\n'), { tls: "none" });
  });

  it("may come in pieces", async () => {
    const greeting = from(async (socket) => {
      socket.setNoDelay(true);
      for (const piece of ["IN", 'FO {"tls_req', 'uired":true}', "\r\n"]) {
        socket.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    assert.deepEqual(await greeting, { tls: "required" });
  });

  it("is refused where it is none of NATS, or has no end", async () => {
    const refused = { message: "it does not speak NATS' protocol" };
    const noObjects = ["null", "1", "[]", '"nats"', "true"].map((json) => `INFO ${json}\r\n`);
    const others = ["HTTP/1.0 400\r\n", "INFO: none\r\n", "INFO {\r\n", "INF\n", `INFO ${" ".repeat(70_000)}`];
    for (const text of [...others, ...noObjects]) await assert.rejects(saying(text), refused, text.slice(0, 20));
    await assert.rejects(
      from((socket) => void socket.end("INFO {")),
      { message: "it ended the connection" },
    );
  });
});
