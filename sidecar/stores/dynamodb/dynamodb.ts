// state.aws.dynamodb: a table of DynamoDB's in Dapr's layout (dapr-state-stores.md 10). This file opens it: settings into
// Amazon's client and a store.
import { DynamoDBClient, type DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import { type OpenContext, type Store, type StoreDriver, StoreError, storeDriver } from "../store.ts";
import { Client } from "./client.ts";
import { credentialsOf } from "./credentials.ts";
import { DynamoStore } from "./dynamodb-store.ts";
import { check, type DynamoSettings, fields } from "./fields.ts";
import { Layout } from "./layout.ts";

export const driver: StoreDriver = storeDriver<DynamoSettings>({
  type: "state.aws.dynamodb",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  packages: ({ assumeRoleArn }) =>
    assumeRoleArn === "" ? [] : [{ name: "@aws-sdk/credential-providers", field: "assumeRoleArn" }],
  open,
});

/** Connections of one store at a time, and how long one may take to come about. */
const CONNECTIONS_MAX = 64;
const CONNECT_MS = 2_000;

async function open(settings: Readonly<DynamoSettings>, context: OpenContext): Promise<Store> {
  const { table, partitionKey, ttlAttributeName } = settings;
  const { clock, random, log, signal } = context;
  const sdk = new DynamoDBClient(await configOf(settings));
  const client = new Client({ sdk, clock, random });
  try {
    const place = await placeOf(settings, sdk);
    const ttlAttribute = ttlAttributeName === "" ? null : ttlAttributeName;
    const layout = new Layout({ partitionKey, ttlAttribute, clock, random });
    const store = new DynamoStore({ client, layout, table, partitionKey, place, random, log });
    // Fails where there is no such table, or one with other keys.
    await store.ping({ signal });
    return store;
  } catch (error) {
    client.close();
    throw error;
  }
}

async function configOf(settings: Readonly<DynamoSettings>): Promise<DynamoDBClientConfig> {
  const { region, endpoint } = settings;
  const agent = { keepAlive: true, maxSockets: CONNECTIONS_MAX };
  const credentials = await credentialsOf(settings);
  return {
    requestHandler: { connectionTimeout: CONNECT_MS, httpAgent: agent, httpsAgent: agent },
    // What is sent again is decided in client.ts, by whether something may have been written.
    maxAttempts: 1,
    ...(region === "" ? {} : { region }),
    ...(endpoint === "" ? {} : { endpoint }),
    ...(credentials === null ? {} : { credentials }),
  };
}

/** Where the table is, for errors. */
async function placeOf({ endpoint }: Readonly<DynamoSettings>, sdk: DynamoDBClient): Promise<string> {
  const region = await sdk.config.region().catch(() => {
    // The SDK's own sentence names no field.
    throw new StoreError("unavailable", "there is no region: set region, or AWS_REGION in the sidecar's environment");
  });
  return endpoint === "" ? `in ${region}` : `at ${new URL(endpoint).host}`;
}
