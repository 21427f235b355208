// What the kubelet and Prometheus ask: /healthz, /readyz and /metrics, over HTTP without TLS. Knows no part of the operator.
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ConnectionShare } from "#kit/connection-share.ts";

export interface ProbesOptions {
  /** 0 for any free one. */
  readonly healthPort: number;
  readonly metricsPort: number;
  /** Null when it lives; else why it should be started anew, as a sentence. */
  readonly unhealthy: () => string | null;
  /** Null when it may be asked for something; else what it waits for. */
  readonly unready: () => string | null;
  /** Prometheus' text. */
  readonly metrics: () => Promise<string>;
}

export interface Probes {
  readonly healthPort: number;
  readonly metricsPort: number;
  close(): Promise<void>;
}

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const HEAD_TIMEOUT_MS = 10_000;
/** Of one port; beyond it the address with the most loses one, so that nobody keeps the kubelet out. */
export const PROBE_CONNECTIONS_MAX = 100;

/** Binds both ports. Rejects when one is taken. */
export async function startProbes(options: ProbesOptions): Promise<Probes> {
  const health = create({
    "/healthz": async (response) => answer(response, options.unhealthy()),
    "/readyz": async (response) => answer(response, options.unready()),
  });
  const metrics = create({
    "/metrics": async (response) => {
      const text = await options.metrics();
      response.writeHead(200, { "content-type": METRICS_TYPE }).end(text);
    },
  });
  const healthPort = await bind(health, options.healthPort);
  const metricsPort = await bind(metrics, options.metricsPort).catch(async (error: unknown) => {
    await close(health);
    throw error;
  });
  return { healthPort, metricsPort, close: async () => void (await Promise.all([close(health), close(metrics)])) };
}

type Route = (response: ServerResponse) => Promise<void>;

function create(routes: Readonly<Record<string, Route>>): Server {
  const options = { headersTimeout: HEAD_TIMEOUT_MS, requestTimeout: HEAD_TIMEOUT_MS };
  const server = createServer(options, (request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "";
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route === undefined || request.method !== "GET") {
      response.writeHead(route === undefined ? 404 : 405).end();
      return;
    }
    route(response).catch(() => response.destroy());
  });
  new ConnectionShare(server, PROBE_CONNECTIONS_MAX);
  return server;
}

function answer(response: ServerResponse, problem: string | null): void {
  response.writeHead(problem === null ? 200 : 503, { "content-type": "text/plain" }).end(`${problem ?? "ok"}\n`);
}

async function bind(server: Server, port: number): Promise<number> {
  server.listen(port);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function close(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  if (server.listening) await once(server, "close");
}
