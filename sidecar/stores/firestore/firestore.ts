// state.gcp.firestore: Firestore in Datastore mode, by Datastore's API, as Dapr uses it. This file opens it: settings into a
// channel and a store.
import { assert } from "#kit/assert.ts";
import { GoogleClient } from "../google/client.ts";
import { openCredentials } from "../google/credentials.ts";
import { parseEndpoint, signInPackages } from "../google/endpoint.ts";
import { serviceAccountOf } from "../google/fields.ts";
import { type OpenContext, type Store, type StoreDriver, storeDriver } from "../store.ts";
import { Calls } from "./calls.ts";
import { check, type FirestoreSettings, fields, HOST } from "./fields.ts";
import { FirestoreStore } from "./firestore-store.ts";
import { Transactions } from "./transaction.ts";

export const driver: StoreDriver = storeDriver<FirestoreSettings>({
  type: "state.gcp.firestore",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  packages: ({ endpoint }) => signInPackages(endpoint, HOST),
  open,
});

async function open(settings: Readonly<FirestoreSettings>, { clock, random, signal }: OpenContext): Promise<Store> {
  const endpoint = parseEndpoint(settings.endpoint, HOST);
  assert(!("want" in endpoint), "the settings were checked with the fields");
  const credentials = endpoint.isService ? await openCredentials(serviceAccountOf(settings)) : null;
  const client = new GoogleClient({ service: "datastore", endpoint, credentials, clock });
  const { project_id: project, entity_kind: kind, noIndex, timeout: timeoutMs } = settings;
  const calls = new Calls({ client, project, layout: { kind, noIndex } });
  const transactions = new Transactions({ calls, clock, random });
  const store = new FirestoreStore({ client, calls, transactions, clock, timeoutMs });
  try {
    await store.ping({ signal });
    return store;
  } catch (error) {
    client.close();
    throw error;
  }
}
