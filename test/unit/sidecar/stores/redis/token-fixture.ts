// What the tests of signing in by tokens share: an endpoint with its certificates and key, stores that ask it, and a look at
// which connections a user has on a real server.
import { Redis } from "ioredis";
import { driver } from "#sidecar/stores/redis/redis.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import {
  type AssertionKey,
  makeAssertionKey,
  startTokenEndpoint,
  type TokenEndpoint,
} from "#test/servers/token-endpoint.ts";
import { decode, type Fields, listeningLog, open } from "#test/stores/opening.ts";
import { MovableClock } from "./movable-clock.ts";

/** Everybody may look, and `app` comes in with the first token. */
export const APP_BY_TOKEN: readonly string[] = [
  "user default on nopass ~* &* +@all",
  "user app on >token-1 ~* &* +@all",
];

export interface TokenBench {
  readonly endpoint: TokenEndpoint;
  readonly clock: MovableClock;
  readonly log: ReturnType<typeof listeningLog>;
  /** The fields that a Component has for the endpoint, with `app` as the user. */
  oidcFields(): Fields;
  /** Opens a store by these fields and `more`, and has it closed after the test. */
  open(more: Fields, signal?: AbortSignal): Promise<Store>;
  /** A plain client, ended after the test. */
  look(port: number, user?: { readonly username: string; readonly password: string }): Redis;
}

/** For the describe that calls this: an endpoint, a clock and a log for each of its tests. */
export function onTokens(): TokenBench {
  let certificates: Certificates;
  let key: AssertionKey;
  let endpoint: TokenEndpoint;
  let clock: MovableClock;
  let log: ReturnType<typeof listeningLog>;
  const stores: Store[] = [];
  const clients: Redis[] = [];

  before(async function () {
    this.timeout(120_000);
    [key, certificates] = await Promise.all([makeAssertionKey(), makeCertificates()]);
  });
  beforeEach(async () => {
    endpoint = await startTokenEndpoint(certificates);
    clock = new MovableClock();
    log = listeningLog();
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    for (const client of clients.splice(0)) client.disconnect();
    await endpoint.stop();
  });
  after(() => certificates?.remove());

  const oidcFields = (): Fields => ({
    useOIDC: "true",
    redisUsername: "app",
    oidcTokenEndpoint: endpoint.url,
    oidcClientID: "orders",
    oidcClientAssertionCert: key.certificate,
    oidcClientAssertionKey: key.key,
    oidcCACert: certificates.authority,
  });
  return {
    get endpoint() {
      return endpoint;
    },
    get clock() {
      return clock;
    },
    get log() {
      return log;
    },
    oidcFields,
    async open(more, signal) {
      // Under what the clock moves.
      const fields = { dialTimeout: "3s", ...oidcFields(), ...more };
      const store = await open(decode(driver, fields), { clock, log, ...(signal === undefined ? {} : { signal }) });
      stores.push(store);
      return store;
    },
    look(port, user) {
      const client = new Redis({ host: "127.0.0.1", port, disableClientInfo: true, ...user });
      client.on("error", () => undefined);
      clients.push(client);
      return client;
    },
  };
}

/** The numbers of a user's connections, in order. */
export async function connectionsOf(client: Redis, user: string): Promise<readonly number[]> {
  const lines = String(await client.client("LIST")).split("\n");
  const own = lines.filter((line) => line.includes(` user=${user} `));
  return own.map((line) => Number(/^id=(\d+)/.exec(line)?.[1])).toSorted((a, b) => a - b);
}

/** How often AUTH was sent since the server started, and how often it was refused. */
export async function signIns(client: Redis): Promise<{ readonly all: number; readonly refused: number }> {
  const line = /^cmdstat_auth:.*$/m.exec(await client.info("commandstats"))?.[0] ?? "";
  const count = (name: string): number => Number(new RegExp(`\\b${name}=(\\d+)`).exec(line)?.[1] ?? 0);
  return { all: count("calls"), refused: count("failed_calls") };
}
