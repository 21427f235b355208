// The distribution API on a real socket with TLS, over a cluster made by hand, and a client that reads its streams.
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { parseMessage, RESOURCES_PATH, type StreamMessage } from "#crds/distribution.ts";
import { type Clock, systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { Distribution, type DistributionOptions } from "#operator/api/distribution.ts";
import type { Leadership } from "#operator/api/peers.ts";
import { ReportTable } from "#operator/api/report-table.ts";
import type { CertificateSource } from "#operator/certificates/source.ts";
import { type Distributed, ResourceTable } from "#operator/components/resource-table.ts";
import { noOperatorMetrics } from "#operator/metrics.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { until } from "#test/wire/until.ts";
import { HandMadeCluster } from "./hand-made-cluster.ts";

export const OPERATOR = { namespace: "pannier-system", serviceAccount: "pannier-operator" };

/** Made once for all tests of a file. */
export interface Trust {
  readonly certificates: Certificates;
  readonly source: CertificateSource;
}

export async function makeTrust(): Promise<Trust> {
  const certificates = await makeCertificates();
  const current = {
    keyPem: await readFile(certificates.serverKeyFile, "utf8"),
    certificatePem: await readFile(certificates.serverCertificateFile, "utf8"),
    expiresAtMs: Number.MAX_SAFE_INTEGER,
  };
  const source = {
    current,
    trustAnchors: certificates.authority,
    onChange: () => () => undefined,
    close: () => Promise.resolve(),
  };
  return { certificates, source };
}

/** Who leads, as a test wants it. */
export class Leading implements Leadership {
  isLeader = true;
  leader: { readonly identity: string; readonly address: string } | null = null;
  readonly #listeners = new Set<() => void>();

  holder(): { readonly identity: string; readonly address: string } | null {
    return this.leader;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  change(isLeader: boolean, leader: Leading["leader"]): void {
    this.isLeader = isLeader;
    this.leader = leader;
    for (const listener of this.#listeners) listener();
  }
}

type Passed =
  | "slowMs"
  | "streamsMax"
  | "streamlessMax"
  | "readToken"
  | "account"
  | "kube"
  | "pods"
  | "leadership"
  | "watchedNamespaces";

/** `kube` and `pods` of a real cluster stand for those of `cluster`, `leadership` for `leading`. */
export interface BenchOptions extends Partial<Pick<DistributionOptions, Passed>> {
  readonly trust: Trust;
  readonly cluster?: HandMadeCluster;
  readonly clock?: Clock;
}

export class Bench {
  readonly cluster: HandMadeCluster;
  readonly resources: ResourceTable = new ResourceTable();
  readonly reports: ReportTable = new ReportTable();
  readonly leading: Leading = new Leading();
  readonly lines: string[] = [];
  /** What the metrics were told. */
  readonly ended: string[] = [];
  readonly authorized: string[] = [];
  readonly distribution: Distribution;
  isSynced = true;
  port = 0;
  readonly #trust: Trust;
  readonly #clients: StreamClient[] = [];

  constructor({ trust, cluster = new HandMadeCluster(), clock = systemClock, ...more }: BenchOptions) {
    this.#trust = trust;
    this.cluster = cluster;
    const write = (line: string): void => void this.lines.push(line);
    const about = { level: "debug", json: true, appId: "operator", instance: "", version: "" } as const;
    this.distribution = new Distribution({
      kube: cluster,
      resources: this.resources,
      reports: this.reports,
      pods: cluster.cache,
      certificates: trust.source,
      serverName: "localhost",
      leadership: this.leading,
      account: OPERATOR,
      readToken: () => Promise.reject(new Error("this replica has no token")),
      isSynced: () => this.isSynced,
      clock,
      random: { fraction: () => 0.5, uuid: () => "" },
      log: createLog({ ...about, write, nowMs: () => systemClock.nowMs() }),
      metrics: {
        ...noOperatorMetrics,
        streamEnded: (cause) => void this.ended.push(cause),
        authorized: (outcome) => void this.authorized.push(outcome),
      },
      ...more,
    });
  }

  async start(): Promise<this> {
    this.port = await this.distribution.listen(0, "127.0.0.1");
    return this;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.distribution.close();
  }

  /** Asks for a stream; resolves with its head. */
  async open(token: string | null, options: { readonly isPaused?: boolean } = {}): Promise<StreamClient> {
    const client = new StreamClient(await this.ask("GET", RESOURCES_PATH, token), options.isPaused === true);
    this.#clients.push(client);
    return client;
  }

  /** Resolves with the head of the answer; the body is left to the caller. */
  ask(
    method: string,
    path: string,
    token: string | null,
    body?: { readonly text: string; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = request({
        host: "127.0.0.1",
        port: this.port,
        method,
        path,
        ca: this.#trust.certificates.authority,
        agent: false,
        headers: {
          ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...body?.headers,
        },
      });
      sent.on("error", reject);
      sent.once("response", resolve);
      sent.end(body?.text);
    });
  }
}

/** One stream as a sidecar sees it. */
export class StreamClient {
  readonly status: number;
  readonly messages: (StreamMessage | null)[] = [];
  readonly response: IncomingMessage;
  hasEnded = false;
  text = "";
  #rest = "";

  constructor(response: IncomingMessage, isPaused = false) {
    this.response = response;
    this.status = response.statusCode ?? 0;
    response.on("error", () => undefined);
    response.once("close", () => {
      this.hasEnded = true;
    });
    if (!isPaused) this.read();
  }

  read(): void {
    this.response.setEncoding("utf8");
    this.response.on("data", (chunk: string) => this.#take(chunk));
  }

  /** Everything so far, in short: "Component orders", "removed Component orders", "synced". */
  get told(): readonly string[] {
    return this.messages
      .filter((message) => message?.type !== "heartbeat")
      .map((message) => {
        if (message === null) return "garbage";
        if (message.type === "resource") return `${message.kind} ${message.name}`;
        return message.type === "removed" ? `removed ${message.kind} ${message.name}` : message.type;
      });
  }

  synced(): Promise<void> {
    return until("the stream is synced", () => this.told.includes("synced"));
  }

  ended(): Promise<void> {
    return until("the stream has ended", () => this.hasEnded);
  }

  close(): void {
    this.response.destroy();
  }

  #take(chunk: string): void {
    if (this.status !== 200) {
      this.text += chunk;
      return;
    }
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.messages.push(parseMessage(line));
  }
}

/** A resource of the table. */
export function entry(name: string, changes: Partial<Distributed> = {}): Distributed {
  const { kind = "Component", namespace = "shop", scopes = [], secrets = [] } = changes;
  const resource = changes.resource ?? { apiVersion: "dapr.io/v1alpha1", kind, metadata: { name, namespace } };
  return { kind, namespace, name, scopes, resource, secrets };
}
