// Signing in: the form of both texts, and a token that the server has refused.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import type { Tokens } from "#sidecar/stores/azure/entra-tokens.ts";
import { CosmosClient } from "#sidecar/stores/cosmosdb/client.ts";
import { Link } from "#sidecar/stores/cosmosdb/link.ts";
import { keyLogin, type Signed, tokenLogin } from "#sidecar/stores/cosmosdb/login.ts";
import { SessionTokens } from "#sidecar/stores/cosmosdb/session.ts";
import { call, KEY, onOneEndpoint } from "./fixture.ts";

const SIGNED: Signed = {
  method: "GET",
  resourceType: "docs",
  resourceLink: "dbs/d/colls/C/docs/Key",
  date: "Thu, 27 Apr 2017 00:51:12 GMT",
};

/** Hands out tokens with numbers, and remembers which were taken back. */
class FakeTokens implements Tokens {
  readonly forgotten: string[] = [];
  #made = 1;

  current(): Promise<string> {
    return Promise.resolve(`token+${this.#made}`);
  }

  forget(token: string): void {
    this.forgotten.push(token);
    this.#made++;
  }
}

describe("signing in at Cosmos DB", () => {
  const { endpoint } = onOneEndpoint();

  it("signs method, type and date in lower case, and names as they are", async () => {
    const { signal } = call;
    const text = "get\ndocs\ndbs/d/colls/C/docs/Key\nthu, 27 apr 2017 00:51:12 gmt\n\n";
    const signature = createHmac("sha256", Buffer.from(KEY, "base64")).update(text).digest("base64");
    const want = `type%3Dmaster%26ver%3D1.0%26sig%3D${encodeURIComponent(signature)}`;
    assert.equal(await keyLogin(KEY).authorization(SIGNED, signal), want);
  });

  it("sends a token of Entra ID in its own form", async () => {
    const login = tokenLogin(new FakeTokens());
    assert.equal(await login.authorization(SIGNED, call.signal), "type%3Daad%26ver%3D1.0%26sig%3Dtoken%2B1");
  });

  it("does not wait for a token when the caller has left", async () => {
    const login = tokenLogin({ current: () => new Promise<string>(() => undefined), forget: () => undefined });
    await assert.rejects(login.authorization(SIGNED, AbortSignal.timeout(20)), { code: "timeout" });
    await assert.rejects(login.authorization(SIGNED, AbortSignal.abort()), { code: "timeout" });
  });

  it("takes another token when the server refuses one, and gives up when it refuses that too", async () => {
    const tokens = new FakeTokens();
    const silent = createLog({
      level: "error",
      json: false,
      appId: "app",
      instance: "test",
      version: "0",
      write: () => undefined,
      nowMs: systemClock.nowMs,
    });
    const client = new CosmosClient({
      link: new Link(new URL(`https://localhost:${endpoint().port}`), systemClock),
      login: tokenLogin(tokens),
      session: new SessionTokens(),
      database: "d",
      collection: "c",
      clock: systemClock,
      log: silent,
    });
    const request = { method: "GET", partition: null, headers: {}, body: null, isWrite: false, check: null } as const;
    const ask = (): Promise<{ readonly status: number }> =>
      client.send({ ...request, target: { kind: "container" } }, call);
    try {
      endpoint().reply = ({ headers }) => ({ status: String(headers.authorization).endsWith("%2B1") ? 401 : 200 });
      assert.equal((await ask()).status, 200);
      assert.deepEqual(tokens.forgotten, ["token+1"]);
      endpoint().taken();
      endpoint().reply = () => ({ status: 401 });
      await assert.rejects(ask(), { code: "unavailable", message: /refused the sign-in/ });
      assert.deepEqual([endpoint().taken().length, tokens.forgotten], [2, ["token+1", "token+2", "token+3"]]);
    } finally {
      client.close();
    }
  });
});
