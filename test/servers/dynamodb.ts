// Real servers of Amazon's DynamoDB Local for tests: a private port, an own temporary folder, tables made on request. It
// listens on every interface and cannot be told otherwise. The service itself is run against by address only:
// PANNIER_TEST_DYNAMODB_TABLE names an empty table there (hash key `key`, TTL on `expiresAt`), PANNIER_TEST_DYNAMODB_REGION
// its region, PANNIER_TEST_DYNAMODB_ENDPOINT another endpoint; keys come from the AWS SDK's own chain.
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AttributeDefinition,
  CreateTableCommand,
  DynamoDBClient,
  type KeySchemaElement,
  ListTablesCommand,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import { ChildServer } from "./child-server.ts";
import { fetchedFolder, fetchedMissing, javaMissing, whyNotFetched } from "./fetched.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, startOnePlanned } from "./local-server.ts";
import { isRequired } from "./required.ts";

/** The attribute that holds the time of expiry in tables of tests. */
export const TTL_ATTRIBUTE = "expiresAt";
/** DynamoDB Local takes any keys, and tells its tables by none of them. */
export const KEYS: { readonly accessKey: string; readonly secretKey: string } = {
  accessKey: "test",
  secretKey: "test",
};
export const REGION = "us-east-1";

export interface DynamoServer extends LocalServer {
  readonly endpoint: string;
  /** A second client, which knows nothing of ours. Ended by `stop`. */
  readonly sdk: DynamoDBClient;
  /** Makes a table with a string hash key and gives its name. */
  createTable(options?: TableOptions): Promise<string>;
}

export interface TableOptions {
  /** "key" when not given. */
  readonly hashKey?: string;
  /** A string when not given. */
  readonly hashType?: "S" | "N";
  /** Name of a sort key; none when not given. */
  readonly sortKey?: string;
}

/** In memory where the system has such a folder: the server flushes each write, which takes a disk ten times as long. */
const FOLDERS = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const ANSWERS_WITHIN_MS = 30_000;
const PAUSE_MS = 50;

/** Why there can be no DynamoDB Local here; null when there can, or must: with `dynamodb` in PANNIER_TEST_REQUIRE. */
export function dynamoMissing(): string | null {
  if (isRequired("dynamodb")) return null;
  return javaMissing() ?? fetchedMissing("dynamodb");
}

/** Metadata of a table of the service, or why there is none. */
export function addressedDynamo(): { readonly metadata: Record<string, string> } | { readonly missing: string } {
  const { PANNIER_TEST_DYNAMODB_TABLE: table = "", PANNIER_TEST_DYNAMODB_REGION: region = "" } = process.env;
  const { PANNIER_TEST_DYNAMODB_ENDPOINT: endpoint = "" } = process.env;
  if (table === "") return { missing: "DynamoDB by address: name a table in PANNIER_TEST_DYNAMODB_TABLE" };
  return { metadata: { table, region, endpoint, ttlAttributeName: TTL_ATTRIBUTE } };
}

/** A describe for tests that need a DynamoDB: where there can be none they are pending, with the reason in the title. */
export function describeWithDynamo(title: string, body: () => void): void {
  describeUnless(dynamoMissing(), title, body);
}

/** Starts a server and resolves when it answers. Whoever starts one stops it. */
export async function startDynamo(): Promise<DynamoServer> {
  const missing = javaMissing() ?? whyNotFetched("dynamodb");
  if (missing !== null) throw new Error(missing);
  return startOnePlanned(async () => {
    const folder = await mkdtemp(join(FOLDERS, "pannier-dynamodb-"));
    const port = await freePort();
    const child = childOf(folder, port);
    return { child, server: running(child, port, folder) };
  });
}

function childOf(folder: string, port: number): ChildServer {
  const installed = fetchedFolder("dynamodb");
  return new ChildServer({
    command: "java",
    args: [
      ...["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
      ...[`-Djava.library.path=${join(installed, "native")}`, "-cp", join(installed, "lib", "*")],
      "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
      // In files, so that a killed server has its tables again.
      ...["-dbPath", folder, "-sharedDb", "-disableTelemetry", "-port", String(port)],
    ],
    cwd: folder,
    // The last line that it writes; it listens a little later.
    readyText: "CorsParams",
  });
}

function running(child: ChildServer, port: number, folder: string): DynamoServer {
  const endpoint = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: KEYS.accessKey, secretAccessKey: KEYS.secretKey };
  const sdk = new DynamoDBClient({ endpoint, region: REGION, credentials, maxAttempts: 1 });
  const server = localServer({ child, port, folder, answers: () => untilAnswers(sdk) });
  return {
    ...server,
    endpoint,
    sdk,
    createTable: (options = {}) => createTable(sdk, options),
    stop: async () => {
      sdk.destroy();
      await server.stop();
    },
  };
}

async function untilAnswers(sdk: DynamoDBClient): Promise<void> {
  const end = Date.now() + ANSWERS_WITHIN_MS;
  for (;;) {
    try {
      await sdk.send(new ListTablesCommand({}));
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function createTable(sdk: DynamoDBClient, options: TableOptions): Promise<string> {
  const { hashKey = "key", hashType = "S", sortKey } = options;
  const TableName = `state-${randomUUID()}`;
  const KeySchema: KeySchemaElement[] = [{ AttributeName: hashKey, KeyType: "HASH" }];
  const AttributeDefinitions: AttributeDefinition[] = [{ AttributeName: hashKey, AttributeType: hashType }];
  if (sortKey !== undefined) {
    KeySchema.push({ AttributeName: sortKey, KeyType: "RANGE" });
    AttributeDefinitions.push({ AttributeName: sortKey, AttributeType: "S" });
  }
  await sdk.send(
    new CreateTableCommand({ TableName, KeySchema, AttributeDefinitions, BillingMode: "PAY_PER_REQUEST" }),
  );
  const TimeToLiveSpecification = { AttributeName: TTL_ATTRIBUTE, Enabled: true };
  await sdk.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
  return TableName;
}
