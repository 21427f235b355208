// What the tests of the MySQL driver share: a store opened as the sidecar opens it, and one MariaDB per describe.
import type { Connection } from "mysql2";
import type { Log } from "#kit/log.ts";
import { driver } from "#sidecar/stores/mysql/mysql.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { type MysqlOptions, type MysqlServer, startMysql } from "#test/servers/mysql.ts";
import { type OneServer, oneServer } from "#test/stores/bench.ts";
import { decode, type Fields, listeningLog, type Opening, open } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export { listeningLog } from "#test/stores/opening.ts";
export * from "#test/stores/requests.ts";

export function prepare(fields: Fields): PreparedStore {
  return decode(driver, fields);
}

export function openStore({ fields, ...opening }: Opening & { readonly fields: Fields }): Promise<Store> {
  return open(prepare(fields), opening);
}

type Rows = readonly Readonly<Record<string, unknown>>[];

export interface Bench extends OneServer<MysqlServer> {
  /** The name of a schema that no other test has; the store makes it. */
  schema(): string;
  /** A store on a schema of the server; closed after the test. */
  open(schemaName: string, fields?: Fields, log?: Log): Promise<Store>;
  /** Runs a statement in a schema. */
  query(schema: string, text: string, values?: readonly unknown[]): Promise<Rows>;
  /** A connection of its own, for locks; ended after the test. */
  client(schema: string): Connection;
}

/** One server for the describe that calls this. */
export function onOneServer(options: MysqlOptions = {}): Bench {
  const { server, keep } = oneServer(() => startMysql(options));
  let schemas = 0;
  return {
    server,
    keep,
    schema: () => `test${++schemas}`,
    open: async (schemaName, fields = {}, log = listeningLog()) => {
      const store = await openStore({ fields: { connectionString: server().dsn(), schemaName, ...fields }, log });
      return keep(store, () => store.close());
    },
    query: (schema, text, values = []) => server().query(text, values, schema),
    client: (schema) => {
      const client = server().connect(schema);
      return keep(client, () => client.destroy());
    },
  };
}
