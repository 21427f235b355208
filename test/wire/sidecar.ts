// A sidecar in this process for wire tests: manifests in a folder of its own, free ports, plain HTTP requests that reach
// it exactly as written.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SidecarSettings } from "#sidecar/settings.ts";
import { type Sidecar, startSidecar } from "#sidecar/sidecar.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Header names and values as they came, names in their own spelling. */
  readonly rawHeaders: readonly string[];
  readonly text: string;
  readonly bytes: Buffer;
}

export interface Ask {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Another port than the API's. */
  readonly port?: number;
}

export interface WireSidecar {
  readonly sidecar: Sidecar;
  readonly folder: string;
  /** All that the sidecar has logged. */
  readonly log: readonly string[];
  /** Whether it was asked to end, and how. */
  readonly shutdowns: readonly boolean[];
  ask(method: string, path: string, ask?: Ask): Promise<Answer>;
  /** Sends bytes over a plain connection and gives all that comes back until the server closes or is silent. */
  raw(text: string | Buffer, options?: RawOptions): Promise<string>;
  stop(): Promise<void>;
}

export interface RawOptions {
  /** Ends our side once everything is sent. */
  readonly end?: boolean;
  /** Resolves as soon as the answer holds this. */
  readonly until?: string;
}

export interface WireOptions {
  /** File name to YAML. */
  readonly manifests: Readonly<Record<string, string>>;
  readonly settings?: Partial<SidecarSettings>;
  readonly env?: Readonly<Record<string, string>>;
  /** Ends a start that waits. */
  readonly stopping?: AbortSignal;
}

const RAW_LIMIT_MS = 30_000;

const BASE: SidecarSettings = {
  appId: "wire",
  namespace: "",
  podName: null,
  appPort: null,
  appProtocol: "http",
  appChannelAddress: "127.0.0.1",
  appMaxConcurrency: -1,
  httpPort: 0,
  grpcPort: 0,
  publicPort: null,
  unixSocketFolder: null,
  http2: true,
  listenAddresses: ["127.0.0.1"],
  publicListenAddresses: ["127.0.0.1"],
  metricsEnabled: true,
  metricsPort: 0,
  metricsListenAddress: "127.0.0.1",
  componentsSocketsFolder: "/nonexistent",
  resourcesPaths: [],
  configPaths: [],
  bodyBytesMax: 4 * 1024 * 1024,
  headerBytesMax: 4096,
  allowedOrigins: [],
  apiToken: null,
  apiLogging: false,
  logLevel: "info",
  logJson: true,
  drainMs: 5_000,
  blockShutdownMs: 0,
  reconcileMs: 60_000,
  operator: null,
};

/** A Component manifest. `metadata` are plain name and value pairs. */
export function component(name: string, type: string, metadata: Readonly<Record<string, string>> = {}): string {
  const items = Object.entries(metadata).map(
    ([key, value]) => `    - name: ${key}\n      value: ${JSON.stringify(value)}\n`,
  );
  const list = items.length === 0 ? "  metadata: []\n" : `  metadata:\n${items.join("")}`;
  return `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: ${name}\nspec:\n  type: ${type}\n  version: v1\n${list}`;
}

/** A Configuration, as JSON. */
export function configuration(spec: object): string {
  return JSON.stringify({ apiVersion: "dapr.io/v1alpha1", kind: "Configuration", metadata: { name: "wire" }, spec });
}

export async function startWire(options: WireOptions): Promise<WireSidecar> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-wire-"));
  for (const [name, text] of Object.entries(options.manifests)) await writeFile(join(folder, name), text);
  const log: string[] = [];
  const shutdowns: boolean[] = [];
  const settings = { ...BASE, resourcesPaths: [folder], ...options.settings };
  const host = {
    env: options.env ?? {},
    writeLog: (line: string) => void log.push(line),
    onShutdown: (force: boolean) => void shutdowns.push(force),
    ...(options.stopping === undefined ? {} : { stopping: options.stopping }),
  };
  const sidecar = await startSidecar(settings, host).catch(async (error: unknown) => {
    await rm(folder, { recursive: true });
    throw error;
  });
  return {
    sidecar,
    folder,
    log,
    shutdowns,
    ask: (method, path, ask = {}) => send(ask.port ?? sidecar.httpPort, method, path, ask),
    raw: (text, raw = {}) => sendRaw(sidecar.httpPort, text, raw),
    async stop() {
      await sidecar.close();
      await rm(folder, { recursive: true });
    },
  };
}

function send(port: number, method: string, path: string, ask: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { ...ask.headers };
    const outgoing = request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const { statusCode, headers: answered, rawHeaders } = incoming;
        resolve({ status: statusCode ?? 0, headers: answered, rawHeaders, bytes, text: bytes.toString() });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(ask.body);
  });
}

function sendRaw(port: number, text: string | Buffer, options: RawOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let seen = "";
    const limit = setTimeout(() => socket.destroy(), RAW_LIMIT_MS);
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
      if (options.until !== undefined && seen.includes(options.until)) socket.destroy();
    });
    socket.on("error", (error) => (seen === "" ? reject(error) : undefined));
    socket.on("close", () => {
      clearTimeout(limit);
      resolve(seen);
    });
    socket.write(text);
    if (options.end === true) socket.end();
  });
}
