// The subjects of state.postgresql, both versions: one server each, which can be killed, started again and stopped in the
// middle. The databases order texts in different ways, which shows in walks over keys.
import { driver } from "#sidecar/stores/postgresql/postgresql.ts";
import type { StoreDriver } from "#sidecar/stores/store.ts";
import { type Pgbouncer, pgbouncerMissing, startPgbouncer } from "#test/servers/pgbouncer.ts";
import { type PostgresServer, postgresMissing, startPostgres } from "#test/servers/postgresql.ts";
import { type Declaration, ownServer, properties, type Running, type Subject } from "./subject.ts";
import { pgbouncerTold, postgresTold } from "./told.ts";

const MIB = 1024 * 1024;

const common = {
  etagMayBeQuoted: false,
  firstWriteDelete: "ignored",
  ttlStepMs: 1,
  durable: true,
  listOrder: "key",
} as const;

function declaration(traits: Declaration["traits"], valueBytesMax: number): Declaration {
  return {
    features: { etag: true, transactions: true, ttl: true, list: true },
    limits: { valueBytesMax, keyBytesMax: 2692, operationsMax: null, ttlSecMin: 1 },
    traits,
  };
}

interface Case {
  readonly name: string;
  readonly version: "v1" | "v2";
  readonly declares: Declaration;
  /** What follows CREATE DATABASE and its name. */
  readonly database: string;
}

function subject({ name, version, declares, database }: Case): Subject {
  return {
    name,
    driver: ofVersion(version),
    declares,
    server: "pause",
    skip: postgresMissing(),
    async start() {
      const postgres = await startPostgres();
      await postgres.query(`CREATE DATABASE conformance TEMPLATE template0 ${database}`);
      const connectionString = postgres.url("conformance");
      return ownServer(postgres, { connectionString, timeout: "5s" }, () => postgresTold(postgres));
    },
  };
}

function ofVersion(version: "v1" | "v2"): StoreDriver {
  const found = driver.byVersion?.[version];
  if (found === undefined) throw new Error(`state.postgresql has no version ${version}`);
  return found;
}

export const postgresqlV1: Subject = subject({
  name: "state.postgresql v1, words in the order of a language",
  version: "v1",
  declares: declaration({ ...common, values: "json-equal", foreignEtag: "invalid", queryStrings: "loose" }, 191 * MIB),
  database: "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
});

export const postgresqlV2: Subject = subject({
  name: "state.postgresql v2, words in the order of their bytes",
  version: "v2",
  declares: declaration(
    { ...common, values: "exact-bytes", foreignEtag: "mismatch", queryStrings: "typed" },
    255 * MIB,
  ),
  database: "LC_COLLATE 'C'",
});

/** Each transaction gets another connection of the server; the order of a language has walks make their index that way too. */
export const postgresqlPgbouncer: Subject = {
  name: "state.postgresql v2, behind pgbouncer in transaction mode",
  driver: ofVersion("v2"),
  declares: postgresqlV2.declares,
  server: "pause",
  skip: pgbouncerMissing(),
  async start() {
    const postgres = await startPostgres();
    await postgres.query("CREATE DATABASE conformance TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
    return behind(postgres, await startPgbouncer({ mode: "transaction", serverPort: postgres.port }));
  },
};

function behind(postgres: PostgresServer, pgbouncer: Pgbouncer): Running {
  const connectionString = postgres.url("conformance", pgbouncer.port);
  return {
    properties: properties({ connectionString, timeout: "5s", queryExecMode: "exec" }),
    tells: () => pgbouncerTold(postgres),
    server: {
      stop: async () => {
        await pgbouncer.kill9();
        await postgres.kill9();
      },
      start: async () => {
        await postgres.restart();
        await pgbouncer.start();
      },
      pause: () => postgres.pause(),
      resume: () => postgres.resume(),
    },
    stop: async () => {
      await pgbouncer.stop();
      await postgres.stop();
    },
  };
}
