// CockroachDB and YugabyteDB for tests: a database of a test's own on the server whose address is given, and a PostgreSQL
// that stands in for them: transactions serializable, keys in the order of their bytes, unique_rowid() there. No package has
// either server, and what a stand-in proves is the driver's own part.
import { randomUUID } from "node:crypto";
import { Client } from "pg";
import { type PostgresServer, startPostgres } from "./postgresql.ts";

/** A variable with a connection string of a user that may make databases. */
export type AddressVariable = "PANNIER_TEST_COCKROACHDB_URL" | "PANNIER_TEST_YUGABYTEDB_URL";

/** Why a test by address does not run; null when it does. */
export function addressMissing(variable: AddressVariable): string | null {
  return process.env[variable] === undefined ? `${variable} names no server` : null;
}

export interface OwnDatabase {
  /** The given connection string, for the fields `connectionString` and `database`. */
  readonly connectionString: string;
  readonly database: string;
  /** Drops it. */
  stop(): Promise<void>;
}

/** Makes a database on the server of the variable. Whoever makes one drops it. */
export async function makeDatabase(variable: AddressVariable): Promise<OwnDatabase> {
  const connectionString = process.env[variable] ?? "";
  const database = `pannier_${randomUUID().replaceAll("-", "")}`;
  const query = async (text: string): Promise<void> => {
    const client = new Client({ connectionString });
    await client.connect();
    try {
      await client.query(text);
    } finally {
      await client.end();
    }
  };
  await query(`CREATE DATABASE ${database}`);
  return { connectionString, database, stop: () => query(`DROP DATABASE ${database}`) };
}

/** Numbers that rise; CockroachDB's are unique over a cluster. */
const UNIQUE_ROWID = `CREATE SEQUENCE rowids;
  CREATE FUNCTION unique_rowid() RETURNS int8 LANGUAGE sql AS $$ SELECT nextval('rowids') $$`;

/** A PostgreSQL server with such a database. */
export async function startStandIn(database: string): Promise<PostgresServer> {
  const server = await startPostgres({ settings: { default_transaction_isolation: "serializable" } });
  await makeStandIn(server, database);
  return server;
}

/** Such a database on a server that runs. */
export async function makeStandIn(server: PostgresServer, database: string): Promise<void> {
  await server.query(`CREATE DATABASE ${database} TEMPLATE template0 LC_COLLATE 'C'`);
  await server.query(`ALTER DATABASE ${database} SET default_transaction_isolation = serializable`);
  await server.query(UNIQUE_ROWID, [], database);
}
