// What the tests of the PostgreSQL driver share: a store opened as the sidecar opens it, and one server per describe.
import type { Log } from "#kit/log.ts";
import { driver } from "#sidecar/stores/postgresql/postgresql.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { type PostgresOptions, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";
import { type OneServer, oneServer } from "#test/stores/bench.ts";
import { decode, type Fields, listeningLog, type Opening, ofVersion, open } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export { listeningLog } from "#test/stores/opening.ts";
export * from "#test/stores/requests.ts";

export type Version = "v1" | "v2";
export const VERSIONS: readonly Version[] = ["v1", "v2"];

export function prepare(version: Version, fields: Fields): PreparedStore {
  return decode(ofVersion(driver, version), fields);
}

export interface PostgresOpening extends Opening {
  readonly version: Version;
  readonly fields: Fields;
}

export function openStore({ version, fields, ...opening }: PostgresOpening): Promise<Store> {
  return open(prepare(version, fields), opening);
}

export interface Bench extends OneServer<PostgresServer> {
  /** A new, empty database on it, by its name. */
  database(options?: string): Promise<string>;
  /** A store on a database of the server; closed after the test. */
  open(version: Version, database: string, fields?: Fields, log?: Log): Promise<Store>;
}

/** One server for the describe that calls this. */
export function onOneServer(options: PostgresOptions = {}): Bench {
  const { server, keep } = oneServer(() => startPostgres(options));
  let databases = 0;
  return {
    server,
    keep,
    database: async (more = "") => {
      const name = `test${++databases}`;
      await server().query(`CREATE DATABASE ${name} ${more}`);
      return name;
    },
    open: async (version, database, fields = {}, log = listeningLog()) => {
      const store = await openStore({ version, fields: { connectionString: server().url(database), ...fields }, log });
      return keep(store, () => store.close());
    },
  };
}
