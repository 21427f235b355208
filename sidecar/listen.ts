// Binds servers to ports and unix sockets and lets them go again without cutting answers off. Knows no protocol.
import { type AddressInfo, Server as TcpServer } from "node:net";
import { type Clock, sleep } from "#kit/clock.ts";
import { clearSocketPath, wrongSocketPath } from "./socket-path.ts";

/** A place that could not be bound, in words for a log line. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  /** As the system names it: "EADDRINUSE". */
  readonly code: string;
  /** 0 for a unix socket. */
  readonly port: number;
  constructor(code: string, port: number, message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
    this.port = port;
  }
}

/** A server that can tell its idle connections from the others; those of node:http do. */
export interface Listener extends TcpServer {
  /** Ends the connections on which nothing is under way, and keeps the others from taking more. May be called again. */
  closeIdleConnections(): void;
  closeAllConnections(): void;
}

export interface Listening {
  /** 0 for a unix socket. */
  readonly port: number;
  /** "127.0.0.1", "::1"; "::" for all interfaces; none for a unix socket. */
  readonly addresses: readonly string[];
  /** Of the unix socket, or null. */
  readonly path: string | null;
  readonly servers: readonly Listener[];
}

interface What {
  /** "the HTTP API", for the error text. */
  readonly what: string;
  /** Makes one server; called once per address. */
  readonly create: () => Listener;
}

export interface ListenOptions extends What {
  /** Empty: all interfaces. */
  readonly addresses: readonly string[];
  /** 0: any free one, the same for all addresses. */
  readonly port: number;
}

export interface ListenPathOptions extends What {
  readonly path: string;
}

/** A host that lacks IPv6 (or IPv4) says so with one of these; the other addresses then have to do. */
const NO_SUCH_ADDRESS: ReadonlySet<string> = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT"]);

/** Binds every address. Throws {@link ListenError} when one is taken or none exists on this host; nothing stays bound then. */
export async function listen(options: ListenOptions): Promise<Listening> {
  const wanted = options.addresses.length === 0 ? [""] : options.addresses;
  const servers: Listener[] = [];
  let { port } = options;
  let missing: ListenError | null = null;
  for (const address of wanted) {
    const server = options.create();
    try {
      port = await bindPort(server, address, port);
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
  const addresses = servers.map((server) => (server.address() as AddressInfo).address);
  return { port, addresses, path: null, servers };
}

/**
 * Binds a unix socket, whose permissions are what the process's umask leaves. A file that a dead process has left there
 * is replaced; one on which somebody listens is not. The file goes when the server closes. Throws {@link ListenError}.
 */
export async function listenOnPath({ what, create, path }: ListenPathOptions): Promise<Listening> {
  const place = `unix socket ${JSON.stringify(path)}`;
  const wrong = wrongSocketPath(path);
  if (wrong !== null) throw new ListenError("EINVAL", 0, `could not listen for ${what} on ${place}: ${wrong}`, null);
  try {
    await clearSocketPath(path);
    const server = create();
    await bind(server, { path });
    return { port: 0, addresses: [], path, servers: [server] };
  } catch (error) {
    const code = codeOf(error);
    const why = PATH_REASONS[code] ?? String(error);
    throw new ListenError(code, 0, `could not listen for ${what} on ${place}: ${why}`, error);
  }
}

const PATH_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there, or it is no socket; want another --unix-domain-socket or --app-id",
  ENOENT: "the folder does not exist; make it, or give another --unix-domain-socket",
  EACCES: "this process may not write into the folder",
};

async function bindPort(server: Listener, address: string, port: number): Promise<number> {
  const host = address.startsWith("[") && address.endsWith("]") ? address.slice(1, -1) : address;
  await bind(server, { port, ...(host === "" ? {} : { host }) });
  return (server.address() as AddressInfo).port;
}

function bind(server: Listener, place: { port: number; host?: string } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(place, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function toListenError(error: unknown, what: string, address: string, port: number): ListenError {
  const code = codeOf(error);
  const place = `${address === "" ? "all interfaces" : address} port ${port}`;
  const why = code === "EADDRINUSE" ? "the port is taken by another process" : String(error);
  return new ListenError(code, port, `could not listen for ${what} on ${place}: ${why}`, error);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "UNKNOWN";
}

/** While it drains, it looks this often whether all is done, in milliseconds. */
const DRAIN_STEP_MS = 20;
/**
 * For so long no idle connection is closed: a request may be on its way in it. Its answer then says that the connection
 * ends, so that busy clients move on by themselves.
 */
const DRAIN_GRACE_MS = 500;

/** Stops listening, waits until requests under way are answered, at most `drainMs`, then cuts what is left. */
export async function drain(servers: readonly Listener[], drainMs: number, clock: Clock): Promise<void> {
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
