// What the client of Google's services does around a call, where no server is needed: the services' own tests have theirs.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { systemClock } from "#kit/clock.ts";
import { GoogleClient, type How, type Method } from "#sidecar/stores/google/client.ts";
import { signInError } from "#sidecar/stores/google/failures.ts";

const NOTHING = { encode: () => ({ finish: () => new Uint8Array(0) }), decode: () => ({}) };
const METHOD: Method<unknown, unknown> = { path: "/test/Ask", effect: "read", request: NOTHING, response: NOTHING };

/** Takes connections, and never says a word: no TLS, no settings of HTTP/2. */
async function mute(): Promise<{ readonly server: Server; readonly address: string; readonly taken: Socket[] }> {
  const taken: Socket[] = [];
  const server = createServer((socket) => taken.push(socket.on("error", () => undefined).resume()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { server, address: `localhost:${address.port}`, taken };
}

describe("a client of Google's services", () => {
  const within = (ms: number): How => ({
    signal: new AbortController().signal,
    deadlineMs: systemClock.monotonicMs() + ms,
    headers: [],
  });

  for (const isService of [false, true]) {
    const credentials = isService ? { headers: async () => [] } : null;
    const over = isService ? "with TLS" : "without TLS";

    it(`ends a connection that never said a word when it closes, ${over}`, async () => {
      const { server, address, taken } = await mute();
      const options = { service: "test", endpoint: { address, isService }, credentials, clock: systemClock };
      const client = new GoogleClient(options);
      const asked = client.ask(METHOD, {}, within(20_000));
      await Promise.all([
        once(server, "connection"),
        assert.rejects(asked, { code: "closed" }),
        once(server, "connection").then(() => client.close()),
      ]);
      await Promise.all(taken.map((socket) => socket.closed || once(socket, "close")));
      await new Promise((resolve) => server.close(resolve));
    });

    it(`leaves none behind with each call that is late, ${over}`, async () => {
      const { server, address, taken } = await mute();
      const options = { service: "test", endpoint: { address, isService }, credentials, clock: systemClock };
      const client = new GoogleClient(options);
      for (let call = 0; call < 3; call++)
        await assert.rejects(client.ask(METHOD, {}, within(200)), { code: "timeout" });
      assert.equal(taken.length, 3);
      await Promise.all(taken.map((socket) => socket.closed || once(socket, "close")));
      client.close();
      await new Promise((resolve) => server.close(resolve));
    });
  }

  it("tells a sign-in that fails to whoever still waits, and to nobody else", async () => {
    const unheard: unknown[] = [];
    const hear = (reason: unknown): void => void unheard.push(reason);
    // Mocha's own listeners would end the run.
    const others = process.rawListeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection").on("unhandledRejection", hear);
    const endpoint = { address: "127.0.0.1:1", isService: true };
    const headers = (): Promise<never> => Promise.reject(signInError("there is no account"));
    const client = new GoogleClient({ service: "test", endpoint, credentials: { headers }, clock: systemClock });
    const how = (signal: AbortSignal): How => ({ signal, deadlineMs: systemClock.monotonicMs() + 1000, headers: [] });
    try {
      await assert.rejects(client.ask(METHOD, {}, how(new AbortController().signal)), { message: /no account/ });
      await assert.rejects(client.ask(METHOD, {}, how(AbortSignal.abort())), { code: "timeout" });
      client.close();
      await assert.rejects(client.ask(METHOD, {}, how(new AbortController().signal)), { code: "closed" });
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(unheard, []);
    } finally {
      process.removeListener("unhandledRejection", hear);
      for (const other of others) process.on("unhandledRejection", other as (reason: unknown) => void);
      client.close();
    }
  });
});
