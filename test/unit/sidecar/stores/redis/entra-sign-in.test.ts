// Tokens of Microsoft Entra ID as passwords, as far as it goes without Azure: a managed identity's tokens come from an
// endpoint of ours, and are taken by a real server whose user is the object id in them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Redis } from "ioredis";
import { driver } from "#sidecar/stores/redis/redis.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { type IdentityEndpoint, startIdentityEndpoint } from "#test/servers/identity-endpoint.ts";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { eventually } from "#test/stores/eventually.ts";
import { decode, listeningLog, open } from "#test/stores/opening.ts";
import { call, read, textOf, write } from "#test/stores/requests.ts";
import { MovableClock } from "./movable-clock.ts";
import { connectionsOf, onTokens, signIns } from "./token-fixture.ts";

const OBJECT_ID = "0d6e5f1e-2c1f-4f62-9a0b-6f1d2c3b4a59";
const MINUTE_MS = 60_000;
/** Under the time before its end at which a token is renewed. */
const SHORT_SEC = 290;
const HOUR_SEC = 3600;
/** Before that nobody is asked again. */
const PAUSE_MS = 5_000;

function tokenWith(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256", typ: "JWT" })}.${part({ ...claims, jti: randomUUID() })}.c2lnbmF0dXJl`;
}

describeWithRedis("a token of Entra ID at Redis", () => {
  const bench = onTokens();
  let server: RedisServer;
  let look: Redis;
  let identity: IdentityEndpoint;
  let asked: URL[];
  let token: string | null;
  let lifeSec: number;
  /** Leaves questions without an answer. */
  let silence: ((request: IncomingMessage) => void) | null;
  let clock: MovableClock;
  let log: ReturnType<typeof listeningLog>;
  let stores: Store[];

  beforeEach(async () => {
    [clock, log, stores, asked] = [new MovableClock(), listeningLog(), [], []];
    token = tokenWith({ oid: OBJECT_ID });
    [lifeSec, silence] = [SHORT_SEC, null];
    server = await startRedis({ acl: ["user default on nopass ~* +@all", `user ${OBJECT_ID} on >${token} ~* +@all`] });
    look = bench.look(server.port);
    identity = await startIdentityEndpoint((request, response) => {
      asked.push(new URL(`http://host${request.url}`));
      if (silence === null) answer(response);
      else silence(request);
    });
  });
  afterEach(async () => {
    for (const store of stores) await store.close();
    identity.stop();
    await server.stop();
  });

  function answer(response: ServerResponse): void {
    if (token === null) return void response.writeHead(400).end("{}");
    const endsSec = Math.floor(Date.now() / 1000) + lifeSec;
    const body = { access_token: token, expires_on: String(endsSec), resource: "r", token_type: "Bearer" };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  }

  async function openStore(more: Readonly<Record<string, string>> = {}): Promise<Store> {
    const fields = {
      redisHost: `127.0.0.1:${server.port}`,
      dialTimeout: "3s",
      useEntraID: "true",
      azureAuthMethods: "mi",
      // The library keeps tokens by it for the whole process.
      azureClientId: randomUUID(),
    };
    const store = await open(decode(driver, { ...fields, ...more }), { clock, log });
    stores.push(store);
    return store;
  }
  async function works(store: Store): Promise<void> {
    await store.set(write("app||k", "1"), call);
    assert.equal(await textOf(store, "app||k"), "1");
  }

  it("is asked for Azure's Redis, and is the password of the object id in it", async () => {
    await works(await openStore());
    assert.deepEqual(
      asked.map((url) => url.searchParams.get("resource")),
      ["https://redis.azure.com"],
    );
    assert.equal((await connectionsOf(look, OBJECT_ID)).length, 1);
    assert.deepEqual(log.warnings, []);
  });

  it("is renewed on the connection that stands, and taken by those to come", async () => {
    const store = await openStore();
    const before = await connectionsOf(look, OBJECT_ID);
    const next = tokenWith({ oid: OBJECT_ID });
    await look.call("ACL", "SETUSER", OBJECT_ID, `>${next}`);
    token = next;
    clock.move(3 * MINUTE_MS);
    await eventually(async () => assert.deepEqual(await signIns(look), { all: 2, refused: 0 }));
    assert.deepEqual(await connectionsOf(look, OBJECT_ID), before);
    await look.call("ACL", "SETUSER", OBJECT_ID, "resetpass", `>${next}`);
    await look.call("CLIENT", "KILL", "USER", OBJECT_ID);
    await eventually(() => works(store));
    assert.deepEqual(
      log.warnings.filter((each) => !each.startsWith("redis connection lost")),
      [],
    );
  });

  it("that cannot be renewed ends nothing that works, and its end is told to requests that need a new one", async () => {
    const store = await openStore();
    token = null;
    clock.move(10 * MINUTE_MS);
    await works(store);
    await look.call("CLIENT", "KILL", "USER", OBJECT_ID);
    const why = /^cannot sign in at Entra ID \(\w+\)/;
    await eventually(() => assert.rejects(store.get("app||k", read, call), { code: "unavailable", message: why }));
    token = tokenWith({ oid: OBJECT_ID });
    await look.call("ACL", "SETUSER", OBJECT_ID, `>${token}`);
    clock.move(PAUSE_MS);
    await eventually(() => works(store));
  });

  it("that is revoked long before its end is replaced by another one", async () => {
    lifeSec = HOUR_SEC;
    const store = await openStore();
    token = tokenWith({ oid: OBJECT_ID });
    await look.call("ACL", "SETUSER", OBJECT_ID, "resetpass", `>${token}`);
    clock.move(PAUSE_MS);
    await look.call("CLIENT", "KILL", "USER", OBJECT_ID);
    await eventually(() => works(store));
  });

  it("that is waited for is waited for no more once the store is closed", async () => {
    const store = await openStore();
    let isOver = false;
    silence = (request) => {
      request.once("close", () => {
        isOver = true;
      });
    };
    const before = asked.length;
    clock.move(3 * MINUTE_MS);
    await eventually(async () => assert.equal(asked.length, before + 1));
    await store.close();
    // Whoever waits for it hears of that by then.
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(clock.timers, 0);
    await eventually(async () => assert.ok(isOver));
  });

  const strange: [what: string, token: string][] = [
    ["names no object id", tokenWith({ sub: "s3cr3t" })],
    ["names an empty object id", tokenWith({ oid: "" })],
    ["is no JWT", "s3cr3t"],
    ["has claims that are no JSON", "a.s3cr3t.c"],
  ];
  for (const [what, given] of strange)
    it(`that ${what} opens nothing, and is not told`, async () => {
      token = given;
      const error = await openStore().catch((failure: unknown) => failure);
      assert.ok(error instanceof Error);
      assert.match(error.message, /^the token of Microsoft Entra ID names no object id \(claim oid\)/);
      assert.doesNotMatch(`${error.stack}`, /s3cr3t/);
    });

  it("that the cache has no user for is told with the object id", async () => {
    const stranger = randomUUID();
    token = tokenWith({ oid: stranger });
    await assert.rejects(openStore(), {
      code: "unavailable",
      message: new RegExp(`refused the token of Microsoft Entra ID; the cache must give .* object id ${stranger}$`),
    });
  });
});
