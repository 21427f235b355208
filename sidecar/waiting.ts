// The servers of a sidecar that cannot serve yet: they answer health with the reason, and everything else with 503.
// They give their places up to the real ones.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Clock } from "#kit/clock.ts";
import { goJson } from "./http/errors.ts";
import { drain, type Listening, listen, listenOnPath } from "./listen.ts";
import type { SidecarSettings } from "./settings.ts";
import { socketPath } from "./socket-path.ts";

/** Requests under way may take so long to end, in milliseconds: their answers are a sentence each. */
const DRAIN_MS = 1000;

export interface WaitingOptions {
  readonly settings: SidecarSettings;
  readonly clock: Clock;
  /** Why it does not serve, as a sentence; asked at each request. */
  readonly why: () => string;
}

export class WaitingServers {
  readonly #options: WaitingOptions;
  readonly #open: Listening[] = [];

  private constructor(options: WaitingOptions) {
    this.#options = options;
  }

  /** Binds the places of the HTTP API and of the public port. Rejects with a ListenError; nothing stays bound then. */
  static async open(options: WaitingOptions): Promise<WaitingServers> {
    const { appId, unixSocketFolder, listenAddresses, httpPort, publicPort, publicListenAddresses } = options.settings;
    const servers = new WaitingServers(options);
    const create = (): Server => createServer((request, response) => answer(request, response, options.why()));
    const api = { what: "the HTTP API", create };
    const bound = async (listening: Promise<Listening>): Promise<void> => void servers.#open.push(await listening);
    try {
      if (unixSocketFolder === null) await bound(listen({ ...api, addresses: listenAddresses, port: httpPort }));
      else await bound(listenOnPath({ ...api, path: socketPath(unixSocketFolder, appId, "http") }));
      if (publicPort !== null)
        await bound(listen({ what: "the public API", create, addresses: publicListenAddresses, port: publicPort }));
      return servers;
    } catch (error) {
      await servers.close();
      throw error;
    }
  }

  /** The places are free as soon as this returns; it resolves when the last connection has ended. */
  close(): Promise<void> {
    const servers = this.#open.flatMap((listening) => listening.servers);
    return drain(servers, DRAIN_MS, this.#options.clock);
  }
}

/** Dapr's answers of a sidecar that is not ready (dapr-state-api.md 8.2), with the reason. */
const HEALTH: Readonly<Record<string, { readonly errorCode: string; readonly text: string }>> = {
  "/v1.0/healthz": { errorCode: "ERR_HEALTH_NOT_READY", text: "dapr is not ready" },
  "/v1.0/healthz/outbound": { errorCode: "ERR_OUTBOUND_HEALTH_NOT_READY", text: "dapr outbound is not ready" },
};

function answer(request: IncomingMessage, response: ServerResponse, why: string): void {
  const [path = ""] = (request.url ?? "").split("?");
  const health = Object.hasOwn(HEALTH, path) ? HEALTH[path] : undefined;
  const { errorCode, text } = health ?? { errorCode: "ERR_HEALTH_NOT_READY", text: "dapr is not ready" };
  // The connection ends, so that the client's next one reaches whoever serves by then.
  response.writeHead(health === undefined ? 503 : 500, { "Content-Type": "application/json", Connection: "close" });
  response.end(goJson({ errorCode, message: `${text}: ${why}` }));
}
