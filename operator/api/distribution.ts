// The distribution API put together: what an operator opens, drains and closes. Decides nothing.
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { CertificateSource } from "../certificates/source.ts";
import type { ResourceTable } from "../components/resource-table.ts";
import type { Cache } from "../kube/cache.ts";
import type { KubeClient } from "../kube/client.ts";
import type { KubeObject } from "../kube/object.ts";
import type { OperatorMetrics } from "../metrics.ts";
import { Authorizer, type OperatorAccount } from "./authorize.ts";
import { PeerIntake } from "./peer-intake.ts";
import { type Leadership, PeerForwarder } from "./peers.ts";
import { Publisher } from "./publish.ts";
import type { ReportTable } from "./report-table.ts";
import { createRoutes } from "./routes.ts";
import { DistributionServer } from "./server.ts";
import { SidecarReports } from "./sidecar-reports.ts";
import { Streams } from "./streams.ts";

/** Streams end over so long when this replica leaves, in milliseconds. */
export const DRAIN_SPREAD_MS = 5_000;

export interface DistributionOptions {
  readonly kube: KubeClient;
  readonly resources: ResourceTable;
  readonly reports: ReportTable;
  /** All pods of the namespaces that are watched; only their metadata is read. */
  readonly pods: Cache<KubeObject>;
  readonly certificates: CertificateSource;
  /** The name in every replica's certificate by which they reach each other: the service's. */
  readonly serverName: string;
  readonly leadership: Leadership;
  /** This operator's own namespace and service account. */
  readonly account: OperatorAccount;
  /** This operator's own projected token of the audience `pannier.io/operator`. */
  readonly readToken: () => Promise<string>;
  /** Everything that sidecars may have was listed and is in `resources`. */
  readonly isSynced: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: OperatorMetrics;
  /** The namespaces that are watched; empty or absent: all. A sidecar of another one is refused. */
  readonly watchedNamespaces?: readonly string[];
  /** For tests: SLOW_MS of stream.ts, STREAMS_MAX of streams.ts, STREAMLESS_MAX of server.ts. */
  readonly slowMs?: number;
  readonly streamsMax?: number;
  readonly streamlessMax?: number;
}

export class Distribution {
  readonly #options: DistributionOptions;
  readonly #publisher: Publisher;
  readonly #local: SidecarReports;
  readonly #streams: Streams;
  readonly #intake: PeerIntake;
  readonly #forwarder: PeerForwarder;
  readonly #server: DistributionServer;
  readonly #unlisten: () => void;
  #isDraining = false;

  constructor(options: DistributionOptions) {
    this.#options = options;
    const { resources, reports, clock, log, leadership, certificates, account, isSynced, metrics } = options;
    this.#publisher = new Publisher(resources, log);
    this.#local = new SidecarReports(reports, clock);
    this.#streams = new Streams({ ...options, publisher: this.#publisher, reports: this.#local });
    this.#intake = new PeerIntake({ table: reports, local: this.#local, clock });
    this.#forwarder = new PeerForwarder({
      ...options,
      reports: this.#local,
      trustAnchors: () => certificates.trustAnchors,
    });
    const routes = createRoutes({
      authorizer: new Authorizer(options),
      streams: this.#streams,
      publisher: this.#publisher,
      reports: this.#local,
      intake: this.#intake,
      account,
      isSynced,
      isLeader: () => leadership.isLeader,
      isDraining: () => this.#isDraining,
      onStream: (socket) => this.#server.isStream(socket),
      clock,
      log,
      metrics,
    });
    this.#server = new DistributionServer(routes, certificates, options.streamlessMax);
    this.#unlisten = leadership.onChange(() => {
      if (!leadership.isLeader) this.#intake.forgetAll();
    });
  }

  /** Streams that are open at this replica. */
  get streams(): number {
    return this.#streams.open;
  }

  /** Gives the port; rejects when it cannot be had. */
  async listen(port: number, host?: string): Promise<number> {
    const taken = await this.#server.listen(port, host);
    this.#forwarder.start();
    return taken;
  }

  /** Takes no new stream and ends the open ones over some seconds; reports are still taken. */
  async drain(spreadMs: number = DRAIN_SPREAD_MS): Promise<void> {
    this.#isDraining = true;
    this.#options.log.info("the distribution API leaves", { streams: this.streams, spreadMs });
    await this.#streams.drain(spreadMs);
  }

  /** Ends everything at once. */
  async close(): Promise<void> {
    this.#isDraining = true;
    this.#unlisten();
    this.#streams.close();
    this.#publisher.end();
    await this.#forwarder.close();
    this.#intake.close();
    this.#local.close();
    await this.#server.close();
  }
}
