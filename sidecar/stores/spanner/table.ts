// The table: looked for when a store opens, and made where it is not there, which takes Spanner some seconds. Knows no row.
import { type Clock, sleep } from "#kit/clock.ts";
import { GetOperationRequest, Operation } from "#proto/gen/clients/google/longrunning/operations.ts";
import { UpdateDatabaseDdlRequest } from "#proto/gen/clients/google/spanner/admin/database/v1/spanner_database_admin.ts";
import type { GoogleClient, How, Method } from "../google/client.ts";
import { StoreError } from "../store.ts";
import { explained } from "./failures.ts";

const UPDATE: Method<UpdateDatabaseDdlRequest, Operation> = {
  path: "/google.spanner.admin.database.v1.DatabaseAdmin/UpdateDatabaseDdl",
  effect: "read",
  request: UpdateDatabaseDdlRequest,
  response: Operation,
};
const GET: Method<GetOperationRequest, Operation> = {
  path: "/google.longrunning.Operations/GetOperation",
  effect: "read",
  request: GetOperationRequest,
  response: Operation,
};

/** Rows whose time is over are not seen from then on, and are deleted by Spanner itself within about three days. */
export function statementFor(table: string): string {
  return `CREATE TABLE IF NOT EXISTS \`${table}\` (
  key STRING(MAX) NOT NULL,
  value BYTES(MAX) NOT NULL,
  version STRING(36) NOT NULL,
  expiry TIMESTAMP,
) PRIMARY KEY (key), ROW DELETION POLICY (OLDER_THAN(expiry, INTERVAL 0 DAY))`;
}

const ASK_FIRST_MS = 100;
const ASK_LONGEST_MS = 2000;

export interface TableOptions {
  readonly client: GoogleClient;
  readonly clock: Clock;
  /** Full name. */
  readonly database: string;
  readonly table: string;
}

/** Makes the table and waits for it. Another sidecar may be making it too. */
export async function makeTable({ client, clock, database, table }: TableOptions, how: How): Promise<void> {
  const routed = (params: string): How => ({ ...how, headers: [["x-goog-request-params", params]] });
  try {
    const request = { database, statements: [statementFor(table)] };
    let operation = await client.ask(UPDATE, request, routed(`database=${encodeURIComponent(database)}`));
    const { name } = operation;
    for (let pauseMs = ASK_FIRST_MS; !operation.done; pauseMs = Math.min(ASK_LONGEST_MS, pauseMs * 2)) {
      if (!(await sleep(clock, pauseMs, how.signal))) throw stillMaking(client.server, table);
      operation = await client.ask(GET, { name }, routed(`name=${encodeURIComponent(name)}`));
    }
    if (operation.error !== undefined)
      throw new StoreError(
        "unavailable",
        `${client.server} could not make the table ${table} (status ${operation.error.code})`,
      );
  } catch (error) {
    throw explained(error, client.server, { database, table });
  }
}

function stillMaking(server: string, table: string): StoreError {
  return new StoreError(
    "unavailable",
    `${server} is still making the table ${table}; raise initTimeout, or open again`,
  );
}
