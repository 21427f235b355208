// Binds HTTP servers to addresses and lets them go again without cutting answers off.
import type { Server } from "node:http";
import { type AddressInfo, Server as TcpServer } from "node:net";
import { type Clock, sleep } from "#kit/clock.ts";

/** A port that could not be bound, in words for a log line. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  /** As the system names it: "EADDRINUSE". */
  readonly code: string;
  readonly port: number;
  constructor(code: string, port: number, message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
    this.port = port;
  }
}

export interface Listening {
  readonly port: number;
  /** "127.0.0.1", "::1"; "::" for all interfaces. */
  readonly addresses: readonly string[];
  readonly servers: readonly Server[];
}

export interface ListenOptions {
  /** "api", for the error text. */
  readonly what: string;
  /** Makes one server; called once per address. */
  readonly create: () => Server;
  /** Empty: all interfaces. */
  readonly addresses: readonly string[];
  /** 0: any free one, the same for all addresses. */
  readonly port: number;
}

/** A host that lacks IPv6 (or IPv4) says so with one of these; the other addresses then have to do. */
const NO_SUCH_ADDRESS: ReadonlySet<string> = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT"]);

/** Binds every address. Throws {@link ListenError} when one is taken or none exists on this host; nothing stays bound then. */
export async function listen(options: ListenOptions): Promise<Listening> {
  const wanted = options.addresses.length === 0 ? [""] : options.addresses;
  const servers: Server[] = [];
  let { port } = options;
  let missing: ListenError | null = null;
  for (const address of wanted) {
    const server = options.create();
    try {
      port = await bind(server, address, port);
      servers.push(server);
    } catch (error) {
      const failure = toListenError(error, options.what, address, port);
      if (!NO_SUCH_ADDRESS.has(failure.code)) {
        for (const bound of servers) bound.close();
        throw failure;
      }
      missing = failure;
    }
  }
  if (servers.length === 0 && missing !== null) throw missing;
  return { port, servers, addresses: servers.map((server) => (server.address() as AddressInfo).address) };
}

function bind(server: Server, address: string, port: number): Promise<number> {
  const host = address.startsWith("[") && address.endsWith("]") ? address.slice(1, -1) : address;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host === "" ? {} : { host }) }, () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function toListenError(error: unknown, what: string, address: string, port: number): ListenError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "UNKNOWN";
  const place = `${address === "" ? "all interfaces" : address} port ${port}`;
  const why = code === "EADDRINUSE" ? "the port is taken by another process" : String(error);
  return new ListenError(code, port, `could not listen for ${what} on ${place}: ${why}`, error);
}

/** While it drains, it looks this often whether all is done, in milliseconds. */
const DRAIN_STEP_MS = 20;
/**
 * For so long no idle connection is closed: a request may be on its way in it. Its answer then says that the connection
 * ends, so that busy clients move on by themselves.
 */
const DRAIN_GRACE_MS = 500;

/** Stops listening, waits until requests under way are answered, at most `drainMs`, then cuts what is left. */
export async function drain(servers: readonly Server[], drainMs: number, clock: Clock): Promise<void> {
  let open = servers.length;
  // Not http.Server's own close, which cuts idle connections at once.
  for (const server of servers) TcpServer.prototype.close.call(server, () => open--);
  const startMs = clock.monotonicMs();
  const graceMs = Math.min(DRAIN_GRACE_MS, drainMs / 2);
  const never = new AbortController().signal;
  for (let passedMs = 0; open > 0 && passedMs < drainMs; passedMs = clock.monotonicMs() - startMs) {
    if (passedMs >= graceMs) for (const server of servers) server.closeIdleConnections();
    await sleep(clock, DRAIN_STEP_MS, never);
  }
  for (const server of servers) server.closeAllConnections();
}
