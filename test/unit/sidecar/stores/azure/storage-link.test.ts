// Requests on their way: again where the service is busy, with a new token where the old one is refused, and an honest end.
// An endpoint of the test's own answers, for no emulator is ever busy.
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import type { Tokens } from "#sidecar/stores/azure/entra-tokens.ts";
import type { StorageRequest } from "#sidecar/stores/azure/storage-attempt.ts";
import { type Identity, StorageLink } from "#sidecar/stores/azure/storage-link.ts";
import { call } from "./fixture.ts";

type Reply = (request: IncomingMessage, response: ServerResponse) => void;

const HOUR_MS = 3_600_000;
const BUSY = { "x-ms-error-code": "ServerBusy" };
const status =
  (code: number, headers: Readonly<Record<string, string>> = {}): Reply =>
  (_request, response) =>
    void response.writeHead(code, headers).end();
const cut: Reply = (request) => request.socket.destroy();
const silence: Reply = () => undefined;

const READ: StorageRequest = { method: "GET", path: "/c/n", query: {}, headers: {}, body: null, isWrite: false };
const WRITE: StorageRequest = { ...READ, method: "PUT", body: Buffer.from("v"), isWrite: true };

describe("a link to a storage service", () => {
  let server: Server;
  let replies: Reply[];
  let came: IncomingMessage[];
  let link: StorageLink;

  beforeEach(async () => {
    [replies, came] = [[], []];
    server = createServer((request, response) => {
      came.push(request);
      request.resume();
      (replies.shift() ?? status(200))(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    link = linkTo({});
  });
  afterEach(async () => {
    link.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  function linkTo({ identity, clock = systemClock, retries = 3 }: Given): StorageLink {
    const base = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/account`);
    const unsigned: Identity = { kind: "sas", sas: "sig=a%2Bb" };
    const rest = { headers: { "x-ms-version": "v" }, retries, clock, random: systemRandom };
    return new StorageLink({ service: "Azure Test Storage", base, identity: identity ?? unsigned, ...rest });
  }

  interface Given {
    readonly identity?: Identity;
    readonly clock?: Clock;
    readonly retries?: number;
  }

  it("asks below the account, with the signature behind the query", async () => {
    await link.send({ ...READ, query: { comp: "list", prefix: "a&b" } }, call);
    assert.equal(came[0]?.url, "/account/c/n?comp=list&prefix=a%26b&sig=a%2Bb");
    assert.equal(came[0]?.headers["x-ms-version"], "v");
  });

  it("sends again what the service is too busy for, a write too", async () => {
    replies = [status(503, BUSY), status(429)];
    assert.equal((await link.send(WRITE, call)).status, 200);
    assert.equal(came.length, 3);
  });

  it("waits as long as the service asks for, and gives up on one that asks for more than a while", async () => {
    const waits: number[] = [];
    const clock: Clock = {
      ...systemClock,
      after: (delayMs, task) => {
        waits.push(delayMs);
        return systemClock.after(Math.min(delayMs, 100), task);
      },
    };
    link.close();
    link = linkTo({ clock });
    replies = [status(429, { "retry-after": "2" }), status(429, { "x-ms-retry-after-ms": "60000" })];
    assert.equal((await link.send(READ, call)).status, 429);
    assert.ok(waits.includes(2000), `${waits}`);
    assert.equal(came.length, 2);
  });

  it("sends no more often than it was told to, and then gives the answer", async () => {
    replies = Array.from({ length: 9 }, () => status(503, BUSY));
    assert.equal((await link.send(READ, call)).status, 503);
    assert.equal(came.length, 4);
    link.close();
    link = linkTo({ retries: 0 });
    assert.equal((await link.send(READ, call)).status, 503);
    assert.equal(came.length, 5);
  });

  it("ends its waiting when the caller leaves", async () => {
    const after: Clock["after"] = (delayMs, task) => systemClock.after(delayMs === 4000 ? HOUR_MS : delayMs, task);
    link.close();
    link = linkTo({ clock: { ...systemClock, after } });
    const leaving = new AbortController();
    replies = [status(429, { "retry-after": "4" })];
    const sending = link.send(WRITE, { signal: leaving.signal });
    while (came.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    leaving.abort();
    // Mocha's limit is the deadline: the pause would last for an hour.
    await sending.catch(() => undefined);
    assert.equal(came.length, 1);
  });

  it("repeats a read that the service failed in, and no write", async () => {
    replies = [status(500), status(200)];
    assert.equal((await link.send(READ, call)).status, 200);
    replies = [status(500), status(503), status(503, { "x-ms-error-code": "ServiceUnavailable" })];
    assert.equal((await link.send(WRITE, call)).status, 500);
    assert.equal((await link.send(WRITE, call)).status, 503, "a gateway's 503 does not say that nothing was done");
    assert.equal((await link.send(WRITE, call)).status, 503, "nor does another word than the service's own for busy");
    assert.equal(came.length, 5);
  });

  it("repeats a read whose connection breaks, and says of a write that it may have happened", async () => {
    replies = [cut, status(200)];
    assert.equal((await link.send(READ, call)).status, 200);
    replies = [cut];
    await assert.rejects(link.send(WRITE, call), {
      code: "unknown-outcome",
      message: /^lost the connection to Azure Test Storage at 127\.0\.0\.1:\d+; the write may have happened$/,
    });
    assert.equal(came.length, 3);
  });

  it("gives up on silence, and says of a write that it may have happened", async () => {
    link.close();
    link = linkTo({ clock: hasty() });
    replies = [silence, silence];
    await assert.rejects(link.send(WRITE, call), { code: "timeout", message: /in time; the write may have happened$/ });
    await assert.rejects(link.send(READ, call), { code: "timeout", message: /in time$/ });
  });

  it("takes its connections along when it is closed", async () => {
    await link.send(READ, call);
    const connections = (): Promise<number> =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
      );
    assert.equal(await connections(), 1);
    link.close();
    const end = Date.now() + 30_000;
    while ((await connections()) > 0) {
      assert.ok(Date.now() < end, "the connection is still there");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await assert.rejects(link.send(READ, call), { code: "closed" });
  });

  it("forgets a token that the service refuses", async () => {
    const forgotten: string[] = [];
    const tokens: Tokens = {
      current: async () => `token-${forgotten.length}`,
      forget: (token) => void forgotten.push(token),
    };
    link.close();
    link = linkTo({ identity: { kind: "tokens", tokens } });
    replies = [status(401)];
    assert.equal((await link.send(READ, call)).status, 401);
    assert.equal((await link.send(READ, call)).status, 200);
    assert.deepEqual(
      came.map(({ headers }) => headers.authorization),
      ["Bearer token-0", "Bearer token-1"],
    );
    assert.deepEqual(forgotten, ["token-0"]);
  });

  it("does not wait for a token when the caller leaves or the store is closed", async () => {
    const tokens: Tokens = { current: () => new Promise(() => undefined), forget: () => undefined };
    link.close();
    link = linkTo({ identity: { kind: "tokens", tokens } });
    await assert.rejects(link.send(READ, { signal: AbortSignal.timeout(20) }), { code: "timeout" });
    const waiting = assert.rejects(link.send(READ, call), { code: "closed" });
    link.close();
    await waiting;
  });
});

/** A clock of which ten seconds are over in a twentieth of one. */
function hasty(): Clock {
  return {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() * 200,
    after: (delayMs, task) => systemClock.after(delayMs / 200, task),
  };
}
