// What the tests of the Cosmos DB driver share: a store opened as the sidecar opens it, and an endpoint of our own that
// speaks HTTPS, records what comes and answers as it is told. It is no Cosmos DB: it holds nothing.
import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { createServer, type Server } from "node:https";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { type Clock, systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { driver } from "#sidecar/stores/cosmosdb/cosmosdb.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { decode, type Fields, open as openPrepared } from "#test/stores/opening.ts";

export * from "#test/stores/requests.ts";

/** Any base64 text is a key. */
export const KEY: string = Buffer.from("a key of nobody's account").toString("base64");

export function prepare(given: Fields): PreparedStore {
  return decode(driver, given);
}

/** A clock whose pauses are over at once, and told; longer ones never end, as the time that a call has. */
export function hastyClock(): Clock & { readonly pausesMs: number[] } {
  const pausesMs: number[] = [];
  let skippedMs = 0;
  return {
    pausesMs,
    nowMs: () => systemClock.nowMs() + skippedMs,
    monotonicMs: () => systemClock.monotonicMs() + skippedMs,
    after(delayMs, task) {
      if (delayMs > LONGEST_PAUSE_MS) return systemClock.after(delayMs, task);
      pausesMs.push(delayMs);
      skippedMs += delayMs;
      return systemClock.after(0, task);
    },
  };
}

/** Shorter than the time that a call has left when it pauses. */
const LONGEST_PAUSE_MS = 5_000;

export interface OpenOptions {
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  /** Gets each line of the log. */
  readonly lines?: string[];
}

/** Opens a store through the driver's own decoder. */
export function openStore(given: Readonly<Record<string, string>>, options: OpenOptions = {}): Promise<Store> {
  const { signal = AbortSignal.timeout(30_000), clock = systemClock, lines = [] } = options;
  const log = createLog({
    level: "debug",
    json: false,
    appId: "app",
    instance: "test",
    version: "0",
    write: (line) => lines.push(line),
    nowMs: systemClock.nowMs,
  });
  return openPrepared(prepare(given), { signal, clock, log });
}

export interface Recorded {
  readonly method: string;
  /** As it came, escapes and all. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** "cut": the connection is closed in place of an answer. "hang": none comes. */
export type Reply =
  | "cut"
  | "hang"
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
      /** The connection is closed in the middle of the body. */
      readonly broken?: boolean;
    };

export const CONTAINER: Reply = {
  status: 200,
  body: { id: "c", partitionKey: { paths: ["/partitionKey"], kind: "Hash" }, defaultTtl: -1 },
};

export class Endpoint {
  readonly requests: Recorded[] = [];
  /** What a request gets; the container is answered by itself unless `reply` says otherwise. */
  reply: (request: Recorded, count: number) => Reply = () => ({ status: 404 });
  readonly #server: Server;

  private constructor({ serverCertificate, serverKey }: { serverCertificate: string; serverKey: string }) {
    this.#server = createServer({ cert: serverCertificate, key: serverKey }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.once("end", () => {
        const { method = "", url: path = "", headers } = request;
        const recorded = { method, path, headers, body: Buffer.concat(chunks).toString() };
        this.requests.push(recorded);
        const reply = this.reply(recorded, this.requests.length);
        if (reply === "hang") return;
        if (reply === "cut") return void request.socket.destroy();
        const text = reply.body === undefined ? "" : JSON.stringify(reply.body);
        response.writeHead(reply.status, { "content-length": String(Buffer.byteLength(text)), ...reply.headers });
        if (reply.broken !== true) return void response.end(text);
        response.write(text.slice(0, text.length / 2), () => request.socket.destroy());
      });
    });
  }

  static async start(certificate: { serverCertificate: string; serverKey: string }): Promise<Endpoint> {
    const endpoint = new Endpoint(certificate);
    await new Promise<void>((resolve) => endpoint.#server.listen(0, "127.0.0.1", resolve));
    return endpoint;
  }

  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  get fields(): Readonly<Record<string, string>> {
    return { url: `https://localhost:${this.port}/`, masterKey: KEY, database: "d", collection: "c" };
  }

  /** The requests since the last look. */
  taken(): readonly Recorded[] {
    return this.requests.splice(0);
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

export interface Bench {
  endpoint(): Endpoint;
  /** A store on the endpoint; closed after the test. Its own look at the container is not among the recorded requests. */
  open(more?: Readonly<Record<string, string>>, options?: OpenOptions & { readonly container?: Reply }): Promise<Store>;
  /** Runs `work` while this process does not trust the endpoint's certificate. */
  distrusting<T>(work: () => Promise<T>): Promise<T>;
}

/** One endpoint for the describe that calls this, with a certificate that this process trusts meanwhile. */
export function onOneEndpoint(): Bench {
  let started: Endpoint | null = null;
  let certificates: Certificates | null = null;
  let trusted: string[] = [];
  const opened: Store[] = [];
  const endpoint = (): Endpoint => {
    if (started === null) throw new Error("the endpoint was not started");
    return started;
  };
  before(async () => {
    certificates = await makeCertificates();
    trusted = getCACertificates("default");
    setDefaultCACertificates([...trusted, certificates.authority]);
    started = await Endpoint.start(await certificateOf(certificates));
  });
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
    endpoint().taken();
  });
  after(async () => {
    await started?.stop();
    setDefaultCACertificates(trusted);
    await certificates?.remove();
  });
  const open: Bench["open"] = async (more = {}, options = {}) => {
    const server = endpoint();
    server.reply = () => options.container ?? CONTAINER;
    const store = await openStore({ ...server.fields, ...more }, options);
    opened.push(store);
    server.taken();
    return store;
  };
  const distrusting: Bench["distrusting"] = async (work) => {
    const now = getCACertificates("default");
    setDefaultCACertificates(trusted);
    try {
      return await work();
    } finally {
      setDefaultCACertificates(now);
    }
  };
  return { endpoint, open, distrusting };
}

async function certificateOf({ serverCertificateFile, serverKeyFile }: Certificates): Promise<{
  serverCertificate: string;
  serverKey: string;
}> {
  const [serverCertificate, serverKey] = await Promise.all([
    readFile(serverCertificateFile, "utf8"),
    readFile(serverKeyFile, "utf8"),
  ]);
  return { serverCertificate, serverKey };
}

/**
 * Whether a request is signed by the key: made anew from what arrived, after Microsoft's description and without a line of
 * the driver's.
 */
export function isSigned({ method, path, headers }: Recorded, key: string): boolean {
  const names = path.split("/").slice(1).map(decodeURIComponent);
  // A path that ends with a kind of resource is about its parent.
  const isFeed = names.length % 2 === 1;
  const kind = (isFeed ? names.at(-1) : names.at(-2)) ?? "";
  const link = (isFeed ? names.slice(0, -1) : names).join("/");
  const date = String(headers["x-ms-date"]);
  const text = [method.toLowerCase(), kind.toLowerCase(), link, date.toLowerCase(), "", ""].join("\n");
  const signature = createHmac("sha256", Buffer.from(key, "base64")).update(text, "utf8").digest("base64");
  return decodeURIComponent(String(headers.authorization)) === `type=master&ver=1.0&sig=${signature}`;
}
