// Requests over kept connections to one sidecar. Each gives its whole answer; knows no route.
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { lostCall } from "./refusal.ts";

/** Connections at a time; more requests wait in the client. */
const SOCKETS_MAX = 32;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface HttpAsk {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly signal: AbortSignal;
}

export class HttpClient {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });

  constructor(port: number) {
    this.#port = port;
  }

  /** Rejects with a StoreError when there is no answer. */
  ask(method: string, path: string, { headers = {}, body, signal }: HttpAsk): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject(lostCall(error, signal));
      const to = { host: "127.0.0.1", port: this.#port, agent: this.#agent };
      const outgoing = request({ ...to, method, path, headers, signal }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", fail);
        incoming.on("end", () =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
        );
      });
      outgoing.on("error", fail);
      outgoing.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
