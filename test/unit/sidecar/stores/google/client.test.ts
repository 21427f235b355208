// What the client of Google's services does around a call, where no server is needed: the services' own tests have theirs.
import assert from "node:assert/strict";
import { systemClock } from "#kit/clock.ts";
import { GoogleClient, type How, type Method } from "#sidecar/stores/google/client.ts";
import { signInError } from "#sidecar/stores/google/failures.ts";

const NOTHING = { encode: () => ({ finish: () => new Uint8Array(0) }), decode: () => ({}) };
const METHOD: Method<unknown, unknown> = { path: "/test/Ask", effect: "read", request: NOTHING, response: NOTHING };

describe("a client of Google's services", () => {
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
