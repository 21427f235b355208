// The HTTPS server of the distribution API: its limits on connections, its certificate, how it leaves. Knows no route.
import type { RequestListener } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { ConnectionShare } from "#kit/connection-share.ts";
import { followConnections } from "#kit/connections.ts";
import { type CertificateSource, followCertificate } from "../certificates/source.ts";

/** Connections at once: a stream and a report for each of the 10,000 sidecars that a replica takes. */
export const CONNECTIONS_MAX = 20_000;
/**
 * Connections on which no stream is open: beyond it the address with the most loses one. Anybody in the cluster may make
 * such, and each costs 60 kB.
 */
export const STREAMLESS_MAX = 2_000;
/** Sidecars and replicas are of our own make. */
const TLS_VERSION_MIN = "TLSv1.3";
/** A token has up to 16 KiB. */
const HEAD_BYTES_MAX = 32 * 1024;
const HEADERS_MAX = 64;
/** To shake hands, to send a head, to send all of a request; in milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
const HEAD_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** Connections that are late are looked for this often, in milliseconds. */
const CHECK_EVERY_MS = 5_000;
/** A connection without a request is kept this long, in milliseconds: longer than a client keeps its own. */
const IDLE_TIMEOUT_MS = 90_000;
/** A connection on which nothing comes is probed after this, in milliseconds: a node that vanished says nothing. */
const KEEP_ALIVE_PROBE_MS = 30_000;

export class DistributionServer {
  readonly #server: Server;
  readonly #unfollow: () => void;
  readonly #cut: () => void;
  readonly #streamless: ConnectionShare;

  /** `streamlessMax`: for tests. */
  constructor(routes: RequestListener, certificates: CertificateSource, streamlessMax: number = STREAMLESS_MAX) {
    this.#server = createServer(
      {
        minVersion: TLS_VERSION_MIN,
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        headersTimeout: HEAD_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: CHECK_EVERY_MS,
        keepAliveTimeout: IDLE_TIMEOUT_MS,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
        maxHeaderSize: HEAD_BYTES_MAX,
      },
      routes,
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.maxHeadersCount = HEADERS_MAX;
    // A sidecar takes its stream for as long as it lives.
    this.#server.timeout = 0;
    this.#unfollow = followCertificate(this.#server, certificates, TLS_VERSION_MIN);
    this.#cut = followConnections(this.#server);
    this.#streamless = new ConnectionShare(this.#server, streamlessMax);
  }

  /** Gives the port. Rejects when it cannot be had. */
  listen(port: number, host?: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        this.#server.removeListener("error", reject);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** A stream begins on this connection: how many of those there are is bounded by the pods. */
  isStream(socket: Socket): void {
    this.#streamless.release(socket);
  }

  /** Takes no more connections and ends those that are left. */
  close(): Promise<void> {
    this.#unfollow();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#cut();
    });
  }
}
