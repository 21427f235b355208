// state.gcp.spanner: Google's Cloud Spanner, which Dapr has no driver for; the table is ours. This file opens it: settings
// into a channel, a session, a table and a store.
import { assert } from "#kit/assert.ts";
import { GoogleClient, type How } from "../google/client.ts";
import { openCredentials } from "../google/credentials.ts";
import { parseEndpoint, signInPackages } from "../google/endpoint.ts";
import { serviceAccountOf } from "../google/fields.ts";
import { type OpenContext, type Store, type StoreDriver, storeDriver } from "../store.ts";
import { Calls } from "./calls.ts";
import { isTableMissing } from "./failures.ts";
import { check, databaseOf, fields, HOST, type SpannerSettings } from "./fields.ts";
import { Session } from "./session.ts";
import { SpannerStore } from "./spanner-store.ts";
import { makeTable } from "./table.ts";
import { Transactions } from "./transaction.ts";

export const driver: StoreDriver = storeDriver<SpannerSettings>({
  type: "state.gcp.spanner",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  packages: ({ endpoint }) => signInPackages(endpoint, HOST),
  open,
});

/** Making a table may take so long; the Component's initTimeout is shorter, unless somebody raised it. */
const MAKING_MS_MAX = 24 * 3_600_000;

async function open(settings: Readonly<SpannerSettings>, { clock, random, log, signal }: OpenContext): Promise<Store> {
  const endpoint = parseEndpoint(settings.endpoint, HOST);
  assert(!("want" in endpoint), "the settings were checked with the fields");
  const credentials = endpoint.isService ? await openCredentials(serviceAccountOf(settings)) : null;
  const client = new GoogleClient({ service: "spanner", endpoint, credentials, clock });
  const { tableName: table, timeout: timeoutMs, maxStaleness: maxStalenessMs } = settings;
  const database = databaseOf(settings);
  const session = new Session({ client, clock, database });
  const calls = new Calls({ client, session, database, table });
  const transactions = new Transactions({ calls, clock, random });
  const store = new SpannerStore({ client, calls, transactions, clock, random, timeoutMs, maxStalenessMs });
  try {
    await store.ping({ signal }).catch(async (error: unknown) => {
      if (!isTableMissing(error)) throw error;
      log.info("making the table", { table, database });
      const how: How = { signal, deadlineMs: clock.monotonicMs() + MAKING_MS_MAX, headers: [] };
      await makeTable({ client, clock, database, table }, how);
      await store.ping({ signal });
    });
    return store;
  } catch (error) {
    client.close();
    throw error;
  }
}
