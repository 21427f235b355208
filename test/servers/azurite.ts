// Azure's blobs and tables for tests: Azurite, Microsoft's emulator of both (test/servers/fetch.sh azurite), on private
// ports of 127.0.0.1, and the account that PANNIER_TEST_AZURE_STORAGE_ACCOUNT and _KEY name. What Azurite holds is gone with
// its process.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AzureNamedKeyCredential, TableClient } from "@azure/data-tables";
import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { ChildServer } from "./child-server.ts";
import { fetchedFolder, fetchedMissing, whyNotFetched } from "./fetched.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, startOnePlanned } from "./local-server.ts";

/** A storage account and ways into it that are not a driver's. */
export interface AzureAccount {
  readonly account: string;
  readonly key: string;
  /** For `endpoint` of a Component of blobs; "" for the service. */
  readonly blobEndpoint: string;
  /** For `serviceURL` of a Component of tables. */
  readonly tableEndpoint: string;
  /** Microsoft's own client. */
  container(name: string): ContainerClient;
  table(name: string): TableClient;
}

/** Comes back empty after its end. `port` is that of the blobs. */
export interface Azurite extends AzureAccount, LocalServer {
  readonly blobPort: number;
  readonly tablePort: number;
}

/** Azurite's, known to everybody. */
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const READY_WITHIN_MS = 30_000;

/** Why there can be no Azurite here and what to do about it; null when there is one, or when it is required. */
export function azuriteMissing(): string | null {
  return fetchedMissing("azurite");
}

const SERVICE = ["PANNIER_TEST_AZURE_STORAGE_ACCOUNT", "PANNIER_TEST_AZURE_STORAGE_KEY"] as const;

/** Why there is no account of the service; null when the environment names one. */
export function azureServiceMissing(): string | null {
  const missing = SERVICE.filter((name) => process.env[name] === undefined);
  return missing.length === 0 ? null : `no account of Azure's is given: set ${missing.join(" and ")}`;
}

/** The account of the service that the environment names. */
export function azureService(): AzureAccount {
  const [account = "", key = ""] = SERVICE.map((name) => process.env[name]);
  const tableEndpoint = `https://${account}.table.core.windows.net`;
  return accountAt({ account, key, blobEndpoint: "", tableEndpoint }, `https://${account}.blob.core.windows.net`);
}

/** A describe for tests that need an Azurite: where there can be none they are pending, with the reason in the title. */
export function describeWithAzurite(title: string, body: () => void): void {
  describeUnless(azuriteMissing(), title, body);
}

/** Starts one and resolves when it serves. `args` come behind the ones set here. Whoever starts one stops it. */
export async function startAzurite(args: readonly string[] = []): Promise<Azurite> {
  const missing = whyNotFetched("azurite");
  if (missing !== null) throw new Error(missing);
  const program = join(fetchedFolder("azurite"), "node_modules/azurite/dist/src/azurite.js");
  return startOnePlanned(async () => {
    const folder = await mkdtemp(join(tmpdir(), "pannier-azurite-"));
    const [blobPort, queuePort, tablePort] = [await freePort(), await freePort(), await freePort()];
    const ports = ["--blobPort", blobPort, "--queuePort", queuePort, "--tablePort", tablePort].map(String);
    const quiet = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"];
    const child = new ChildServer({
      command: process.execPath,
      args: [program, ...quiet, ...ports, ...args],
      cwd: folder,
      readyText: "Azurite Table service is successfully listening",
      readyWithinMs: READY_WITHIN_MS,
      // It has nothing to put away, and waits for connections to end.
      stopSignal: "SIGKILL",
    });
    const blobEndpoint = `http://127.0.0.1:${blobPort}`;
    const tableEndpoint = `http://127.0.0.1:${tablePort}/${ACCOUNT}`;
    const server = {
      ...localServer({ child, port: blobPort, folder }),
      ...accountAt({ account: ACCOUNT, key: KEY, blobEndpoint, tableEndpoint }, `${blobEndpoint}/${ACCOUNT}`),
      blobPort,
      tablePort,
    };
    return { child, server };
  });
}

type Names = Pick<AzureAccount, "account" | "key" | "blobEndpoint" | "tableEndpoint">;

function accountAt(names: Names, blobs: string): AzureAccount {
  const { account, key, tableEndpoint } = names;
  const once = { retryOptions: { maxTries: 1, maxRetries: 0 }, keepAliveOptions: { enable: false } };
  return {
    ...names,
    container: (name) => new ContainerClient(`${blobs}/${name}`, new StorageSharedKeyCredential(account, key), once),
    table: (name) =>
      new TableClient(tableEndpoint, name, new AzureNamedKeyCredential(account, key), {
        allowInsecureConnection: tableEndpoint.startsWith("http:"),
        ...once,
      }),
  };
}
