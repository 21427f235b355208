// An HTTPS proxy in front of an API server that breaks exchanges in the ways in which networks, load balancers and API
// servers do. What happens to the n-th request follows from the seed alone. Its clients need no credentials: the proxy
// has its own. Knows no resource.
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, type RequestOptions, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { KubeConfig } from "@kubernetes/client-node";
import { makeCertificates } from "../servers/certificates.ts";
import { brokenStream, STREAM_FAULTS, type StreamFault } from "./fault-stream.ts";
import { Chance } from "./seeded.ts";

/** What can happen to a request instead of its good answer: before it reaches the API server, or on the way back. */
export const ANSWER_FAULTS = ["cut", "lost answer", "late", "429", "500", "403", "garbage", "half", "mute"] as const;
/** Only where a version can be too old: lists and watches. */
const GONE = "410";
export type Fault = (typeof ANSWER_FAULTS)[number] | typeof GONE | StreamFault;
export const FAULTS: readonly Fault[] = [...ANSWER_FAULTS, GONE, ...STREAM_FAULTS];

const FAULTY_PART = 0.6;
const LATE_MS_MAX = 300;
const GARBAGE_BYTES = 300;
const REASONS: Readonly<Record<string, string>> = {
  "403": "Forbidden",
  "410": "Expired",
  "429": "TooManyRequests",
  "500": "InternalError",
};

export interface FaultProxy {
  /** Path of a kubeconfig for it. */
  readonly kubeconfig: string;
  /** How often each fault struck so far. */
  readonly struck: ReadonlyMap<Fault, number>;
  /** From now on more than half of all requests meet one of `faults` that fits them; the very first one does surely. */
  storm(faults?: readonly Fault[]): void;
  /** From now on new requests pass; watches that went silent stay so. */
  calm(): void;
  /** Breaks all connections, once. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts one that passes everything on until it is told to storm. */
export async function startFaultProxy(kubeconfig: string, seed: number): Promise<FaultProxy> {
  const certificates = await makeCertificates();
  const [key, cert] = await Promise.all([
    readFile(certificates.serverKeyFile),
    readFile(certificates.serverCertificateFile),
  ]);
  const upstream = await upstreamOf(kubeconfig);
  const chance = new Chance(seed);
  const struck = new Map<Fault, number>();
  const versions: string[] = [];
  let faults: readonly Fault[] = [];
  const server = createServer({ key, cert }, (asked, answer) => {
    const own = chance.split();
    const fitting = faults.filter((fault) => fits(fault, asked));
    const isStruck = own.fraction() < FAULTY_PART || struck.size === 0;
    const fault = fitting.length > 0 && isStruck ? own.oneOf(fitting) : null;
    if (fault !== null) struck.set(fault, (struck.get(fault) ?? 0) + 1);
    // A client or an API server that went away is what this is for.
    serve({ asked, answer, fault, chance: own, versions, upstream }).catch(() => answer.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const folder = await mkdtemp(join(tmpdir(), "pannier-fault-proxy-"));
  const path = join(folder, "kubeconfig");
  await writeFile(path, kubeconfigOf(Object(server.address()).port, certificates.authority));
  return {
    kubeconfig: path,
    struck,
    storm: (wanted = FAULTS) => {
      faults = wanted;
    },
    calm: () => {
      faults = [];
    },
    cut: () => server.closeAllConnections(),
    close: async () => {
      server.close();
      server.closeAllConnections();
      upstream.agent.destroy();
      await Promise.all([certificates.remove(), rm(folder, { recursive: true, force: true })]);
    },
  };
}

type Upstream = RequestOptions & { readonly agent: Agent };

/** Where the API server is, and what lets us in. */
async function upstreamOf(kubeconfig: string): Promise<Upstream> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const { hostname, port } = new URL(config.getCurrentCluster()?.server ?? "");
  return { ...options, hostname, port, agent: new Agent({ keepAlive: true }) };
}

function kubeconfigOf(port: number, authority: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "proxy",
    contexts: [{ name: "proxy", context: { cluster: "proxy", user: "nobody" } }],
    users: [{ name: "nobody", user: {} }],
    clusters: [
      {
        name: "proxy",
        cluster: {
          server: `https://127.0.0.1:${port}`,
          "certificate-authority-data": Buffer.from(authority).toString("base64"),
        },
      },
    ],
  });
}

function fits(fault: Fault, { method, url = "" }: IncomingMessage): boolean {
  if (isStreamFault(fault)) return isWatch(url);
  return fault !== GONE || (method === "GET" && /[?&](watch|continue)=/.test(url));
}

export function isStreamFault(fault: Fault): fault is StreamFault {
  return STREAM_FAULTS.some((each) => each === fault);
}

function isWatch(url: string): boolean {
  return url.includes("watch=true");
}

interface Exchange {
  readonly asked: IncomingMessage;
  readonly answer: ServerResponse;
  readonly fault: Fault | null;
  readonly chance: Chance;
  readonly versions: string[];
  readonly upstream: Upstream;
}

async function serve(exchange: Exchange): Promise<void> {
  const { asked, answer, fault, chance, versions } = exchange;
  if (fault === "cut") return void answer.destroy();
  if (fault === "mute") return;
  if (fault !== null && fault in REASONS) return refuse(answer, fault);
  if (fault === "garbage") {
    answer.writeHead(200, { "content-type": "application/json" });
    return void answer.end(Buffer.from(Array.from({ length: GARBAGE_BYTES }, () => chance.whole(256))));
  }
  if (fault === "late") await pause(chance.whole(LATE_MS_MAX));
  const source = await forward(exchange);
  if (fault === "lost answer") {
    source.resume();
    await once(source, "close");
    return void answer.destroy();
  }
  answer.writeHead(source.statusCode ?? 502, headersOf(source));
  answer.once("close", () => source.destroy());
  if (fault !== null && isStreamFault(fault)) return brokenStream(source, answer, { fault, chance, versions });
  if (isWatch(asked.url ?? "")) return void source.pipe(answer);
  const body = Buffer.concat(await source.toArray());
  answer.end(fault === "half" ? body.subarray(0, body.length >> 1) : body);
}

function refuse(answer: ServerResponse, fault: Fault): void {
  const code = Number(fault);
  const reason = REASONS[fault] ?? "";
  answer.writeHead(code, { "content-type": "application/json", ...(code === 429 ? { "retry-after": "1" } : {}) });
  answer.end(JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", reason, code, message: "a fault" }));
}

async function forward({ asked, upstream }: Exchange): Promise<IncomingMessage> {
  const { host: _ours, connection: _hop, ...headers } = asked.headers;
  const sent = request({
    ...upstream,
    method: asked.method,
    path: asked.url,
    headers: { ...headers, ...(upstream.headers as Record<string, string>) },
  });
  asked.pipe(sent);
  const [source] = (await once(sent, "response")) as [IncomingMessage];
  // The exchange is over then, and says so by the client's own broken connection.
  source.on("error", () => undefined);
  return source;
}

/** Without what belongs to a connection or to the length of a body that we may shorten. */
function headersOf(source: IncomingMessage): Record<string, string | string[] | undefined> {
  const { connection: _hop, "transfer-encoding": _framing, "content-length": _length, ...rest } = source.headers;
  return rest;
}
