// A Microsoft SQL Server for tests: it is in no package registry, so there is one only by address. PANNIER_TEST_SQLSERVER_URL
// holds a connection string as the driver takes it, of a user who may create tables in its database.
import { Connection, Request } from "tedious";
import { decodeFields } from "#crds/fields.ts";
import { v1Fields } from "#sidecar/stores/sqlserver/fields.ts";
import { planServer } from "#sidecar/stores/sqlserver/server-plan.ts";
import { describeUnless } from "./local-server.ts";
import { isRequired } from "./required.ts";

export interface AddressedSqlServer {
  readonly connectionString: string;
  /** Names of tables that nobody else has. */
  readonly tables: { readonly tableName: string; readonly metadataTableName: string };
  /** Runs a batch over a connection of its own, with a client that knows nothing of the driver, and gives its rows. */
  query(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

/**
 * Why there is none, or null. With `sqlserver` among the words of PANNIER_TEST_REQUIRE a missing one is no reason: null,
 * and {@link addressedSqlServer} fails.
 */
export function sqlServerMissing(): string | null {
  const isNamed = (process.env.PANNIER_TEST_SQLSERVER_URL ?? "") !== "";
  return isNamed || isRequired("sqlserver") ? null : "SQL Server by address: name one in PANNIER_TEST_SQLSERVER_URL";
}

let tables = 0;

export function addressedSqlServer(): AddressedSqlServer {
  const connectionString = process.env.PANNIER_TEST_SQLSERVER_URL ?? "";
  if (connectionString === "") throw new Error("PANNIER_TEST_SQLSERVER_URL names no SQL Server");
  const own = `pannier_${Date.now()}_${tables++}`;
  return {
    connectionString,
    tables: { tableName: own, metadataTableName: `${own}_metadata` },
    query: (text) => query(connectionString, text),
  };
}

/** A describe for tests that need a SQL Server: without one they are pending, with the reason in the title. */
export function describeWithSqlServer(title: string, body: () => void): void {
  describeUnless(sqlServerMissing(), title, body);
}

interface Column {
  readonly value: unknown;
  readonly metadata: { readonly colName: string };
}

async function query(connectionString: string, text: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = await connected(connectionString);
  const rows: Record<string, unknown>[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const request = new Request(text, (error) => (error ? reject(error) : resolve()));
      request.on("row", (columns: readonly Column[]) => {
        rows.push(Object.fromEntries(columns.map(({ value, metadata }) => [metadata.colName, value])));
      });
      client.execSqlBatch(request);
    });
    return rows;
  } finally {
    client.close();
  }
}

async function connected(connectionString: string): Promise<Connection> {
  const property = { name: "connectionString", value: connectionString, secret: true };
  const { settings } = decodeFields(v1Fields, [property], { others: [], page: "" });
  const plan = settings === null ? null : planServer(settings).plan;
  if (plan === null || plan.signIn.kind !== "password" || plan.port === null)
    throw new Error("PANNIER_TEST_SQLSERVER_URL: want a host, a port, a user and a password");
  const { user, password } = plan.signIn;
  const client = new Connection({
    server: plan.host,
    authentication: { type: "default", options: { userName: user, password } },
    options: {
      port: plan.port,
      database: plan.database,
      encrypt: plan.encryption !== "none",
      trustServerCertificate: plan.trustsAnyone,
    },
  });
  await new Promise<void>((resolve, reject) => {
    client.connect((error) => (error === undefined ? resolve() : reject(error)));
  });
  return client;
}
