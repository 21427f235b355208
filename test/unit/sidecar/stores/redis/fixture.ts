// What the tests of the Redis driver share: a store opened as the sidecar opens it, a plain client beside it, and the
// beginning and end of their servers.
import { Redis } from "ioredis";
import { systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { fixedCredentials } from "#sidecar/stores/redis/credentials.ts";
import { Link, type LinkOptions } from "#sidecar/stores/redis/link.ts";
import { driver } from "#sidecar/stores/redis/redis.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { type RedisOptions, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { forAllTests, type Keeping, keeping } from "#test/stores/bench.ts";
import { decode, type Fields, listeningLog, type Opening, open as openPrepared } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export { listeningLog } from "#test/stores/opening.ts";
export * from "#test/stores/requests.ts";

export interface RedisOpening extends Opening {
  readonly port: number;
  readonly fields?: Fields;
}

/** Opens a store on 127.0.0.1. */
export function openStore({ port, fields, ...opening }: RedisOpening): Promise<Store> {
  return openPrepared(decode(driver, { redisHost: `127.0.0.1:${port}`, ...fields }), opening);
}

const DIAL_MS = 5_000;

/** Opens a bare link to 127.0.0.1, without a store around it. */
export function openLink(port: number, readMs: number): Promise<Link> {
  return Link.open(linkOptions(port, readMs), AbortSignal.timeout(DIAL_MS));
}

export function linkOptions(port: number, readMs: number): LinkOptions {
  return {
    address: { host: "127.0.0.1", port },
    credentials: fixedCredentials({ username: "", password: "" }),
    database: 0,
    tls: null,
    name: "pannier-test",
    dialMs: DIAL_MS,
    readMs,
    clock: systemClock,
    log: listeningLog(),
  };
}

/** A plain client, to look at what lies in Redis and to put there what Dapr puts there. */
export function plainClient(
  port: number,
  options: { db?: number; password?: string; commandTimeout?: number } = {},
): Redis {
  const client = new Redis({ host: "127.0.0.1", port, disableClientInfo: true, ...options });
  // Tests kill servers; what the client thinks of it is not their subject.
  client.on("error", () => undefined);
  return client;
}

export interface OneServer {
  readonly server: RedisServer;
  readonly store: Store;
  readonly plain: Redis;
}

/** Gives the describe that calls this one server, a store and a plain client on it; it is emptied before each test. */
export function onOneServer(take: (opened: OneServer) => void, options: () => RedisOptions = () => ({})): void {
  const opened = forAllTests(async (keep) => {
    const server = await startRedis(options());
    keep(server, () => server.stop());
    const store = await openStore({ port: server.port });
    keep(store, () => store.close());
    const plain = plainClient(server.port);
    return { server, store, plain: keep(plain, () => plain.disconnect()) };
  });
  before(() => take(opened()));
  beforeEach(() => opened().plain.flushall());
}

export interface Starting extends Keeping {
  start(options?: RedisOptions): Promise<RedisServer>;
  open(port: number, fields?: Fields, log?: Log): Promise<Store>;
}

/** Lets each test of the describe that calls this start what it needs; all of it is ended after that test, the newest first. */
export function onServersOfItsOwn(): Starting {
  const { keep } = keeping();
  return {
    keep,
    start: async (options) => {
      const server = await startRedis(options);
      return keep(server, () => server.stop());
    },
    open: async (port, fields = {}, log = listeningLog()) => {
      const store = await openStore({ port, fields, log });
      return keep(store, () => store.close());
    },
  };
}
