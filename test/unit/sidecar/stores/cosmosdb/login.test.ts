// Signing in: the form of both texts, and a token that the server has refused.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { type Clock, systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import type { Tokens } from "#sidecar/stores/azure/entra-tokens.ts";
import { CosmosClient, type CosmosRequest } from "#sidecar/stores/cosmosdb/client.ts";
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
    const text = "get\ndocs\ndbs/d/colls/C/docs/Key\nthu, 27 apr 2017 00:51:12 gmt\n\n";
    const signature = createHmac("sha256", Buffer.from(KEY, "base64")).update(text).digest("base64");
    const want = `type%3Dmaster%26ver%3D1.0%26sig%3D${encodeURIComponent(signature)}`;
    assert.equal(await keyLogin(KEY).authorization(SIGNED), want);
  });

  it("sends a token of Entra ID in its own form", async () => {
    const login = tokenLogin(new FakeTokens());
    assert.equal(await login.authorization(SIGNED), "type%3Daad%26ver%3D1.0%26sig%3Dtoken%2B1");
  });

  function clientWith(tokens: Tokens, clock: Clock = systemClock): CosmosClient {
    const silent = createLog({
      level: "error",
      json: false,
      appId: "app",
      instance: "test",
      version: "0",
      write: () => undefined,
      nowMs: systemClock.nowMs,
    });
    return new CosmosClient({
      link: new Link(new URL(`https://localhost:${endpoint().port}`), clock),
      login: tokenLogin(tokens),
      session: new SessionTokens(),
      database: "d",
      collection: "c",
      clock,
      log: silent,
    });
  }

  const REQUEST: CosmosRequest = {
    method: "GET",
    target: { kind: "container" },
    partition: null,
    headers: {},
    body: null,
    isWrite: false,
    check: null,
  };

  describe("that does not end", () => {
    const never: Tokens = { current: () => new Promise<string>(() => undefined), forget: () => undefined };

    it("holds no call whose caller leaves", async () => {
      const client = clientWith(never);
      const leaving = { signal: AbortSignal.timeout(20) };
      await assert.rejects(client.send(REQUEST, leaving), { code: "timeout", message: /caller left/ });
      client.close();
    });

    it("holds no call beyond the close of the store", async () => {
      const client = clientWith(never);
      const waiting = client.send({ ...REQUEST, isWrite: true }, call);
      client.close();
      await assert.rejects(waiting, { code: "closed" });
    });

    it("holds no call longer than a call takes, and nothing was written", async () => {
      // The twenty seconds of a call are over sooner here.
      const after: Clock["after"] = (delayMs, task) => systemClock.after(Math.min(delayMs, 30), task);
      const client = clientWith(never, { ...systemClock, after });
      const write = { ...REQUEST, isWrite: true };
      await assert.rejects(client.send(write, call), { code: "unavailable", message: /Entra ID gave no token/ });
      client.close();
    });
  });

  it("takes another token when the server refuses one, and gives up when it refuses that too", async () => {
    const tokens = new FakeTokens();
    const client = clientWith(tokens);
    const ask = (): Promise<{ readonly status: number }> => client.send(REQUEST, call);
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
