// Redis as Dapr's samples have it, and a sidecar on it: one server for a group of tests, with a client that looks inside.
import { Redis } from "ioredis";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

export interface RedisBenchOptions {
  readonly appId: string;
  /** Name of each store, with the metadata that it has besides the server's address. */
  readonly stores: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

interface Started {
  readonly server: RedisServer;
  readonly raw: Redis;
  wire: WireSidecar;
}

export class RedisBench {
  readonly #options: RedisBenchOptions;
  #started: Started | null = null;

  constructor(options: RedisBenchOptions) {
    this.#options = options;
  }

  get wire(): WireSidecar {
    return this.#here.wire;
  }

  /** A client of the server, past the sidecar. */
  get raw(): Redis {
    return this.#here.raw;
  }

  get #here(): Started {
    if (this.#started === null) throw new Error("the bench is not started");
    return this.#started;
  }

  async start(): Promise<void> {
    const server = await startRedis();
    const raw = new Redis({ host: server.host, port: server.port, lazyConnect: true });
    this.#started = { server, raw, wire: await this.#startSidecar(server) };
  }

  /** Another sidecar in the place of the one that ran until now. */
  async restartSidecar(): Promise<void> {
    await this.wire.stop();
    this.#here.wire = await this.#startSidecar(this.#here.server);
  }

  async stop(): Promise<void> {
    const { wire, raw, server } = this.#here;
    raw.disconnect();
    await wire.stop();
    await server.stop();
  }

  #startSidecar(server: RedisServer): Promise<WireSidecar> {
    const { appId, stores } = this.#options;
    const manifests = Object.entries(stores).map(([name, metadata]) => {
      const address = { redisHost: `${server.host}:${server.port}`, redisPassword: "" };
      return [`${name}.yaml`, component(name, "state.redis", { ...address, ...metadata })];
    });
    return startWire({ manifests: Object.fromEntries(manifests), settings: { appId } });
  }
}

/** A group of tests on a bench of their own; skipped with the reason where there is no Redis. */
export function describeOnRedis(title: string, options: RedisBenchOptions, tests: (bench: RedisBench) => void): void {
  describeWithRedis(title, () => {
    const bench = new RedisBench(options);
    before(() => bench.start());
    after(() => bench.stop());
    tests(bench);
  });
}
