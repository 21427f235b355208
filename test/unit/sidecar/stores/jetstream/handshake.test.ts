// A NATS server that wants TLS and says nothing in the handshake: whoever waits for it can leave.
import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import { never, systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import { Link } from "#sidecar/stores/jetstream/link.ts";
import { listeningLog } from "#test/stores/opening.ts";
import { until } from "#test/wire/until.ts";
import { eventually } from "./fixture.ts";

describe("a TLS handshake with NATS that gets no answer", () => {
  const sockets = new Set<Socket>();
  /** Of connections over which the client has begun the handshake. */
  let begun: number;
  let server: Server;
  let port: number;
  beforeEach(async () => {
    begun = 0;
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
      socket.once("data", () => begun++);
      socket.write('INFO {"tls_required":true}\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    port = address.port;
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  it("ends at once with the store, and its connection", async () => {
    // One that nobody closes is given up after two seconds. Where this machine stands still for so long, once more.
    await eventually(async () => {
      const ended: string[] = [];
      const [left, closed] = [linkThatEnds("left", ended), linkThatEnds("closed", ended)];
      const before = begun;
      await left.begin();
      await closed.begin();
      await until("both are in the handshake", () => begun === before + 2 || ended.length > 0);
      await closed.link.close();
      await closed.over();
      const first = ended[0];
      await left.over();
      await left.link.close();
      await until("the server has no connection left", () => sockets.size === 0);
      assert.equal(first, "closed");
    });
  }).timeout(120_000);

  interface Ending {
    readonly link: Link;
    begin(): Promise<void>;
    over(): Promise<void>;
  }

  /** Its request cannot succeed; when it is over, `name` is in `ended`. */
  function linkThatEnds(name: string, ended: string[]): Ending {
    const link = new Link({
      addresses: { servers: [`127.0.0.1:${port}`], tls: false, user: null },
      credentials: null,
      name: "test",
      clock: systemClock,
      random: systemRandom,
      log: listeningLog(),
    });
    let outcome: Promise<void> = Promise.resolve();
    return {
      link,
      over: () => outcome,
      async begin() {
        const request = link.request({ subject: "s", payload: "", headers: null, isWrite: false }, never);
        outcome = assert.rejects(request).then(() => void ended.push(name));
        await until("a handshake has begun", () => sockets.size > 0);
      },
    };
  }
});
