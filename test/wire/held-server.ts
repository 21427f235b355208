// A server of the sidecar's HTTP with routes that a test holds in its hand, and raw clients of it.
import { once } from "node:events";
import type { Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { type Clock, systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { Router } from "#sidecar/http/router.ts";
import { createHttpServer, type Handler } from "#sidecar/http/server.ts";
import { noMetrics } from "#sidecar/metrics.ts";
import { noTracing } from "#sidecar/tracing/tracer.ts";

/** Handlers by pattern; each is for GET and POST. */
export type Routes = Readonly<Record<string, Handler>>;

export interface RawClient {
  readonly socket: Socket;
  /** All that has come, a character a byte. */
  readonly seen: () => string;
}

export class HeldServer {
  /** The server's side of each connection, in the order they came. */
  readonly accepted: Socket[] = [];
  readonly server: Server;
  /** Everything that was logged. */
  logged = "";
  readonly #clients: Socket[] = [];

  constructor(routes: Routes, bodyBytesMax: number, clock: Clock = systemClock) {
    const router = new Router<Handler>();
    for (const [pattern, handler] of Object.entries(routes))
      router.add(["GET", "POST"], { name: pattern, pattern, api: null, handler });
    const write = (line: string): void => {
      this.logged += line;
    };
    const naming = { appId: "held", instance: "", version: "" };
    this.server = createHttpServer({
      router,
      appId: "held",
      clock,
      log: createLog({ level: "info", json: true, ...naming, write, nowMs: systemClock.nowMs }),
      metrics: noMetrics,
      token: null,
      allowedOrigins: [],
      apiLogging: false,
      omitsHealthChecks: false,
      isAllowed: () => true,
      tracing: noTracing,
      keysInSpans: () => true,
      serverTiming: () => false,
      http2: true,
      headerBytesMax: 4096,
      bodyBytesMax,
      isDraining: () => false,
      onBody: () => undefined,
      pathLabel: () => "",
    });
    this.server.on("connection", (socket) => this.accepted.push(socket));
  }

  async listen(): Promise<void> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, "close");
  }

  /** A client that sends this, a byte a character, and keeps its side open. */
  open(text: string): RawClient {
    const { port } = this.server.address() as AddressInfo;
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.#clients.push(socket);
    let seen = "";
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.write(Buffer.from(text, "latin1"));
    return { socket, seen: () => seen };
  }

  connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }
}

export function head(method: string, path: string, ...headers: string[]): string {
  return [`${method} ${path} HTTP/1.1`, "Host: x", ...headers, "", ""].join("\r\n");
}

/** The status of each answer, in order. */
export function statuses(answers: string): string[] {
  return [...answers.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1] ?? "");
}
