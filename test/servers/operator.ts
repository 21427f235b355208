// An operator for tests of the sidecar: real HTTPS, the protocol of crds/distribution.ts, and every fault that a test asks
// for. Gives everything that it holds to whoever asks.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  parseReport,
  REPORT_PATH,
  RESOURCES_PATH,
  type ResourceKind,
  type ResourceMessage,
  type SecretPart,
  type SidecarReport,
  type StreamMessage,
  TOKEN_FILE,
  TRUST_ANCHORS_FILE,
} from "#crds/distribution.ts";
import type { OperatorSettings } from "#sidecar/settings.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { freePort } from "./free-port.ts";

/** What a new stream begins with; the half is of the second line, and the stream ends in it. */
export type Greeting = "everything" | "nothing" | "half a line";

export class TestOperator {
  readonly folder: string;
  readonly port: number;
  certificates: Certificates;
  /** How many streams were opened. */
  opened = 0;
  greeting: Greeting = "everything";
  /** The status that every request gets; null for none. */
  refusal: number | null = null;
  readonly tokens: string[] = [];
  readonly reports: SidecarReport[] = [];
  readonly #held = new Map<string, ResourceMessage>();
  readonly #streams = new Set<ServerResponse>();
  #server: Server | null = null;

  private constructor(folder: string, port: number, certificates: Certificates) {
    this.folder = folder;
    this.port = port;
    this.certificates = certificates;
  }

  /** One that does not listen yet, and the identity of a pod in its folder. */
  static async make(): Promise<TestOperator> {
    const folder = await mkdtemp(join(tmpdir(), "pannier-operator-"));
    const operator = new TestOperator(folder, await freePort(), await makeCertificates());
    await operator.writeToken("token-1");
    await operator.trust(operator.certificates.authority);
    return operator;
  }

  get settings(): OperatorSettings {
    return { host: "localhost", port: this.port, identityFolder: this.folder, trustAnchors: "", configuration: null };
  }

  writeToken(token: string): Promise<void> {
    return writeFile(join(this.folder, TOKEN_FILE), token);
  }

  /** What the pod's trust bundle holds from now on. */
  trust(pem: string): Promise<void> {
    return writeFile(join(this.folder, TRUST_ANCHORS_FILE), pem);
  }

  async listen(host = "localhost"): Promise<void> {
    const { serverCertificateFile, serverKeyFile } = this.certificates;
    const [cert, key] = await Promise.all([readFile(serverCertificateFile), readFile(serverKeyFile)]);
    const server = createServer({ cert, key }, (request, response) => void this.#answer(request, response));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.port, host, resolve);
    });
  }

  /** As when its process is killed. */
  async goAway(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  async stop(): Promise<void> {
    await this.goAway();
    await this.certificates.remove();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Holds a resource, and tells it to the streams that are open. */
  put(resource: TestResource, secrets: readonly SecretPart[] = []): void {
    const { kind, metadata } = resource;
    const message: ResourceMessage = {
      type: "resource",
      kind,
      name: metadata.name,
      resource: { ...resource },
      secrets,
    };
    this.#held.set(`${kind}/${metadata.name}`, message);
    this.#tell(message);
  }

  remove(kind: ResourceKind, name: string): void {
    this.#held.delete(`${kind}/${name}`);
    this.#tell({ type: "removed", kind, name });
  }

  /** Sends a text as it is to the streams that are open. */
  send(text: string): void {
    for (const stream of this.#streams) stream.write(text);
  }

  /** Ends the streams without a word. */
  cut(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  get connected(): number {
    return this.#streams.size;
  }

  #tell(message: StreamMessage): void {
    this.send(`${JSON.stringify(message)}\n`);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.tokens.push(request.headers.authorization ?? "");
    if (this.refusal !== null) response.writeHead(this.refusal).end();
    else if (request.url === RESOURCES_PATH) this.#open(response);
    else if (request.url === REPORT_PATH) await this.#take(request, response);
    else response.writeHead(404).end();
  }

  #open(response: ServerResponse): void {
    this.opened++;
    response.writeHead(200, { "Content-Type": "application/x-ndjson" });
    response.flushHeaders();
    if (this.greeting === "nothing") return;
    const lines = [...this.#held.values(), { type: "synced" }].map((message) => `${JSON.stringify(message)}\n`);
    if (this.greeting === "half a line") {
      response.write(lines.join("").slice(0, (lines[0]?.length ?? 0) + 10), () => response.destroy());
      return;
    }
    response.write(lines.join(""));
    this.#streams.add(response);
    response.once("close", () => this.#streams.delete(response));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const report = parseReport(text);
    if (report !== null) this.reports.push(report);
    response.writeHead(report === null ? 400 : 204).end();
  }
}

export interface TestResource {
  readonly apiVersion: "dapr.io/v1alpha1";
  readonly kind: ResourceKind;
  readonly metadata: { readonly name: string; readonly uid: string; readonly generation: number };
  readonly spec: unknown;
  readonly auth?: unknown;
}

/** A resource as the API server gives it. */
export function resource(kind: ResourceKind, name: string, spec: object, more: object = {}): TestResource {
  const metadata = { name, uid: `uid-${name}`, generation: 1 };
  return { apiVersion: "dapr.io/v1alpha1", kind, metadata, spec, ...more };
}

/** A state store; `metadata` are values, or the name of a secret and a key as `{secret, key}`. */
export function store(
  name: string,
  type: string,
  metadata: Readonly<Record<string, string | { readonly secret: string; readonly key: string }>> = {},
): TestResource {
  const entries = Object.entries(metadata).map(([field, given]) =>
    typeof given === "string"
      ? { name: field, value: given }
      : { name: field, secretKeyRef: { name: given.secret, key: given.key } },
  );
  return resource("Component", name, { type, version: "v1", metadata: entries });
}

/** A secret's value as the operator sends it. */
export function secret(name: string, key: string, text: string): SecretPart {
  return { name, key, value: Buffer.from(text).toString("base64") };
}
