// The subjects of state.memcached: one server as Dapr uses it, and three with ETags, over which the keys are spread. All
// three can be killed, started again and stopped in the middle.
import { driver } from "#sidecar/stores/memcached/memcached.ts";
import { memcachedMissing, startMemcached } from "#test/servers/memcached.ts";
import { properties, type Subject } from "./subject.ts";
import { memcachedTold } from "./told.ts";

/** The server's usual -I less what an item has besides its value. */
const VALUE_BYTES_MAX = 1024 * 1024 - 512;
/** Where memcached's hours end. */
const LAST_HOUR_MS = 2_147_483_647_000;

function subject(name: string, servers: number, etags: boolean): Subject {
  return {
    name: `state.memcached, ${name}`,
    driver,
    declares: {
      features: { etag: etags, transactions: false, ttl: true, list: false },
      limits: { valueBytesMax: VALUE_BYTES_MAX, keyBytesMax: 250, operationsMax: null, ttlSecMin: 1 },
      traits: {
        values: "exact-bytes",
        foreignEtag: "mismatch",
        etagMayBeQuoted: false,
        firstWriteDelete: "ignored",
        ttlStepMs: 1000,
        durable: true,
        listOrder: "none",
        queryStrings: "typed",
      },
    },
    expiresAtMsMax: LAST_HOUR_MS,
    server: "pause",
    skip: memcachedMissing(),
    async start() {
      const started = await Promise.all(Array.from({ length: servers }, () => startMemcached()));
      const all = async (work: (server: (typeof started)[number]) => Promise<void> | void): Promise<void> => {
        await Promise.all(started.map(work));
      };
      return {
        properties: properties({
          hosts: started.map(({ address }) => address).join(","),
          ...(etags ? { etags: "true" } : {}),
        }),
        server: {
          stop: () => all((server) => server.kill9()),
          start: () => all((server) => server.restart()),
          pause: () => void all((server) => server.pause()),
          resume: () => void all((server) => server.resume()),
        },
        tells: async () => Object.assign({}, ...(await Promise.all(started.map(memcachedTold)))),
        stop: () => all((server) => server.stop()),
      };
    },
  };
}

export const memcachedPlain: Subject = subject("one server", 1, false);
export const memcachedEtags: Subject = subject("three servers, with ETags", 3, true);
