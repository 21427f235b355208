// Azure's blobs and tables for tests: Azurite, Microsoft's emulator of both (test/servers/fetch.sh azurite), on private
// ports of 127.0.0.1, and the account that PANNIER_TEST_AZURE_STORAGE_ACCOUNT and _KEY name. What Azurite holds is gone with
// its process.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AzureNamedKeyCredential, TableClient } from "@azure/data-tables";
import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { ChildServer } from "./child-server.ts";
import { fetchedFolder, fetchedMissing, whyNotFetched } from "./fetched.ts";
import { freePort } from "./free-port.ts";

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

export interface Azurite extends AzureAccount {
  readonly blobPort: number;
  readonly tablePort: number;
  kill9(): Promise<void>;
  /** SIGSTOP: the ports still accept, nothing answers. */
  pause(): void;
  resume(): void;
  /** Starts it again on the same ports, empty. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Azurite's, known to everybody. */
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const STARTS_MAX = 3;
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
  const missing = azuriteMissing();
  if (missing === null) describe(title, body);
  else describe.skip(`${title} (not run: ${missing})`, body);
}

/** Starts one and resolves when it serves. `args` come behind the ones set here. Whoever starts one stops it. */
export async function startAzurite(args: readonly string[] = []): Promise<Azurite> {
  const missing = whyNotFetched("azurite");
  if (missing !== null) throw new Error(missing);
  const program = join(fetchedFolder("azurite"), "node_modules/azurite/dist/src/azurite.js");
  const folder = await mkdtemp(join(tmpdir(), "pannier-azurite-"));
  for (let start = 1; ; start++) {
    const [blobPort, queuePort, tablePort] = [await freePort(), await freePort(), await freePort()];
    const ports = ["--blobPort", blobPort, "--queuePort", queuePort, "--tablePort", tablePort].map(String);
    const quiet = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"];
    const server = new ChildServer({
      command: process.execPath,
      args: [program, ...quiet, ...ports, ...args],
      cwd: folder,
      readyText: "Azurite Table service is successfully listening",
      readyWithinMs: READY_WITHIN_MS,
      // It has nothing to put away, and waits for connections to end.
      stopSignal: "SIGKILL",
    });
    try {
      await server.start();
      return running(server, { folder, blobPort, tablePort });
    } catch (error) {
      // Between the search for a free port and the start another process can have taken it.
      if (start === STARTS_MAX || !server.output.includes("EADDRINUSE")) throw error;
    }
  }
}

interface Place {
  readonly folder: string;
  readonly blobPort: number;
  readonly tablePort: number;
}

function running(server: ChildServer, { folder, blobPort, tablePort }: Place): Azurite {
  const blobEndpoint = `http://127.0.0.1:${blobPort}`;
  const tableEndpoint = `http://127.0.0.1:${tablePort}/${ACCOUNT}`;
  return {
    ...accountAt({ account: ACCOUNT, key: KEY, blobEndpoint, tableEndpoint }, `${blobEndpoint}/${ACCOUNT}`),
    blobPort,
    tablePort,
    kill9: () => server.kill9(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    restart: async () => {
      await server.stop();
      await server.start();
    },
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
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
