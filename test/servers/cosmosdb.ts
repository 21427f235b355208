// Cosmos DB for tests: Vercel's emulator (cosmosdb-server) as a child process, on a private port and in memory, or an
// account of Azure by its address. The emulator has no transactions, no expiry, no signatures and no TLS of use; what it
// gets wrong is named where a test is marked for it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Container, CosmosClient } from "@azure/cosmos";
import { ChildServer } from "./child-server.ts";
import { fetchedFolder, fetchedMissing } from "./fetched.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer } from "./local-server.ts";

/** What the emulator takes for a key: any. This is the one that all of Microsoft's emulators have, and no secret. */
export const EMULATOR_KEY = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";
export const DATABASE = "daprdb";
export const COLLECTION = "daprcollection";

export interface CosmosContainerOptions {
  /** Null: without one, so that nothing expires. */
  readonly defaultTtl?: number | null;
  readonly partitionKey?: string;
}

/** Whenever it ends its data are gone; it comes back with the empty container. */
export interface CosmosServer extends LocalServer {
  readonly url: string;
  /** The Component's fields that name the container. */
  readonly fields: Readonly<Record<string, string>>;
  /** Microsoft's own client on the container: a second client, which knows nothing of ours. */
  readonly container: Container;
  /** Makes another container of the database. */
  createContainer(id: string, options?: CosmosContainerOptions): Promise<void>;
}

/** Why the emulator cannot run here; null when it can, and when it must (PANNIER_TEST_REQUIRE=cosmosdb). */
export function cosmosdbMissing(): string | null {
  return fetchedMissing("cosmosdb");
}

/** The fields of a container at Azure that tests may fill and empty, or why there is none. */
export function addressedCosmosdb():
  | { readonly fields: Readonly<Record<string, string>> }
  | { readonly missing: string } {
  const { PANNIER_TEST_COSMOSDB_URL: url = "", PANNIER_TEST_COSMOSDB_KEY: masterKey = "" } = process.env;
  if (url === "" || masterKey === "")
    return {
      missing:
        "Cosmos DB by address: name an account and its key in PANNIER_TEST_COSMOSDB_URL and PANNIER_TEST_COSMOSDB_KEY, and a container with defaultTtl -1 in PANNIER_TEST_COSMOSDB_DATABASE and PANNIER_TEST_COSMOSDB_COLLECTION",
    };
  const database = process.env.PANNIER_TEST_COSMOSDB_DATABASE ?? DATABASE;
  const collection = process.env.PANNIER_TEST_COSMOSDB_COLLECTION ?? COLLECTION;
  return { fields: { url, masterKey, database, collection } };
}

/** A describe for tests that need the emulator: where there is none they are pending, with the reason in the title. */
export function describeWithCosmosdb(title: string, body: () => void): void {
  describeUnless(cosmosdbMissing(), title, body);
}

/** Starts the emulator with an empty container. Whoever starts one stops it. */
export async function startCosmosdb(): Promise<CosmosServer> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-cosmosdb-"));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const program = join(fetchedFolder("cosmosdb"), "node_modules/@vercel/cosmosdb-server/lib/cli.js");
  const child = new ChildServer({
    command: process.execPath,
    args: [program, "--no-ssl", "--host", "127.0.0.1", "-p", String(port)],
    cwd: folder,
    readyText: "Ready to accept",
  });
  const client = new CosmosClient({
    endpoint: url,
    key: EMULATOR_KEY,
    connectionPolicy: { enableEndpointDiscovery: false },
  });
  const createContainer: CosmosServer["createContainer"] = async (id, options = {}) => {
    const { defaultTtl = -1, partitionKey = "/partitionKey" } = options;
    const expiry = defaultTtl === null ? {} : { defaultTtl };
    await client.database(DATABASE).containers.createIfNotExists({ id, partitionKey, ...expiry });
  };
  const begin = async (): Promise<void> => {
    await child.start();
    await client.databases.createIfNotExists({ id: DATABASE });
    await createContainer(COLLECTION);
  };
  const end = async (): Promise<void> => {
    await child.stop();
    client.dispose();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await begin();
  } catch (error) {
    await end();
    throw error;
  }
  return {
    host: "127.0.0.1",
    port,
    url,
    fields: { url, masterKey: EMULATOR_KEY, database: DATABASE, collection: COLLECTION },
    container: client.database(DATABASE).container(COLLECTION),
    createContainer,
    kill9: () => child.kill9(),
    pause: () => child.pause(),
    resume: () => child.resume(),
    restart: begin,
    stop: end,
  };
}
