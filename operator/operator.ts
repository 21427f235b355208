// The operator as one object: watches, controllers, certificates, webhook and distribution API put together, opened in
// order and closed in the reverse. Reads no command line, no environment and no signal.
import { readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import { VERSION } from "#kit/version.ts";
import { createAdmit } from "./admit.ts";
import { Distribution } from "./api/distribution.ts";
import { STREAMS_MAX } from "./api/streams.ts";
import type { CertificateSource } from "./certificates/source.ts";
import { openCertificates } from "./certificates.ts";
import { minorVersion } from "./cluster-version.ts";
import { containersIn } from "./component-containers.ts";
import { type Controllers, startControllers } from "./controllers.ts";
import type { OperatorFlags } from "./flags.ts";
import type { KubeContext } from "./kube/context.ts";
import { EventRecorder } from "./kube/event-recorder.ts";
import type { Events } from "./kube/events.ts";
import { openKubeClient } from "./kube/http-client.ts";
import { type Leadership, openLeadership } from "./leadership.ts";
import { type Probes, startProbes } from "./probes.ts";
import { PrometheusOperatorMetrics } from "./prometheus.ts";
import { injectSettings, serviceNames } from "./settings.ts";
import { type Watches, watchResources } from "./watches.ts";
import { startWebhook, type Webhook } from "./webhook/server.ts";

export interface OperatorParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Ends a start that waits for something. */
  readonly stopping: AbortSignal;
}

export interface Operator {
  readonly webhookPort: number;
  readonly apiPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  /** Null once everything is read and both servers answer; else what it waits for. */
  unready(): string | null;
  /** Goes on answering for the drain time, hands over, ends. May be called again. */
  close(): Promise<void>;
}

/** Without a sign of life from the API server for so long the process asks to be started anew, in milliseconds. */
const STALLED_MAX_MS = 15 * 60_000;
const CONTROLLER = "pannier-operator";
/** However little memory there is. */
const STREAMS_MIN = 100;

/** Each list is opened in its order and closed in the other. */
interface Closing {
  /** What a leader does and all that only writes: ended as soon as the operator is to end, while it still answers. */
  readonly writers: (() => unknown)[];
  readonly others: (() => unknown)[];
}

/** What the probes say, which answer from the start on. */
interface Health {
  /** Null once everything is read and both servers answer; else what it waits for. */
  unready: () => string | null;
  stalledForMs: () => number;
}

/** Everything that is put together. */
interface Open {
  readonly probes: Probes;
  readonly health: Health;
  readonly flags: Readonly<OperatorFlags>;
  readonly kube: KubeContext;
  readonly metrics: PrometheusOperatorMetrics;
  readonly events: Events;
  readonly leadership: Leadership;
  readonly watches: Watches;
  readonly certificates: CertificateSource;
  readonly controllers: Controllers;
  readonly stopping: AbortSignal;
}

/**
 * Resolves when webhook and distribution API listen; whether they are ready, `unready` says. Rejects, with nothing left
 * open, for a flag that cannot be used and a port that is taken. Waits for an API server that does not answer.
 */
export async function startOperator(flags: Readonly<OperatorFlags>, parts: OperatorParts): Promise<Operator> {
  const closing: Closing = { writers: [], others: [] };
  try {
    const startMs = parts.clock.monotonicMs();
    const operator = await serve(await open(flags, parts, closing), closing);
    const tookMs = Math.round(parts.clock.monotonicMs() - startMs);
    parts.log.info("pannier operator started", { namespace: flags.namespace, pannier: VERSION, tookMs });
    return operator;
  } catch (error) {
    await closeAll(closing.writers);
    await closeAll(closing.others);
    throw error;
  }
}

async function open(flags: Readonly<OperatorFlags>, parts: OperatorParts, closing: Closing): Promise<Open> {
  const metrics = new PrometheusOperatorMetrics();
  const health: Health = { unready: () => "it waits for the API server", stalledForMs: () => 0 };
  const probes = await openProbes(flags, metrics, health);
  closing.others.push(() => probes.close());
  const kubeconfig = flags.kubeconfig === "" ? null : flags.kubeconfig;
  const client = openKubeClient({ kubeconfig, clock: parts.clock });
  closing.others.push(() => client.close());
  const kube: KubeContext = { ...parts, client, metrics };
  const events = new EventRecorder(kube, { controller: CONTROLLER, instance: flags["pod-name"] });
  closing.others.push(() => events.close());
  const leadership = openLeadership(kube, flags, closing.writers);
  const watches = watchResources(kube, flags["watch-namespaces"]);
  closing.others.push(() => watches.close());
  health.stalledForMs = () => watches.stalledForMs();
  const { pods } = watches;
  const { stopping } = parts;
  const certificates = await openCertificates({ kube, flags, events, leadership, pods, stopping }, closing.writers);
  const controllers = startControllers({ kube, flags, events, leadership, watches });
  closing.others.push(() => controllers.close());
  return { probes, health, flags, kube, metrics, events, leadership, watches, certificates, controllers, stopping };
}

async function serve(parts: Open, closing: Closing): Promise<Operator> {
  const { kube, watches, controllers, health, probes, flags } = parts;
  const isSynced = (): boolean => watches.synced && controllers.synced;
  const distribution = createDistribution(parts, isSynced);
  closing.others.push(() => distribution.close());
  const apiPort = await distribution.listen(flags["api-port"]);
  const webhook = await openWebhook(parts);
  closing.others.push(() => webhook.drain());
  health.unready = () => {
    if (!webhook.ready) return "it is ending";
    return isSynced() ? null : `it reads what the cluster holds: ${watches.waitsFor() ?? "Components are judged"}`;
  };
  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    kube.log.info("the operator ends");
    // The webhook answers for some time yet, while sidecars move to another replica, and another one leads.
    const draining = Promise.all([webhook.drain(), distribution.drain()]);
    await closeAll(closing.writers);
    await draining;
    await closeAll(closing.others);
    kube.log.info("the operator has ended");
  };
  return {
    webhookPort: webhook.port,
    apiPort,
    healthPort: probes.healthPort,
    metricsPort: probes.metricsPort,
    unready: () => health.unready(),
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

async function closeAll(opened: (() => unknown)[]): Promise<void> {
  for (const close of opened.splice(0).reverse()) await close();
}

async function openWebhook({ flags, kube, events, certificates, watches, stopping }: Open): Promise<Webhook> {
  const { clock, log, metrics } = kube;
  const settings = injectSettings(flags, await minorVersion(kube, stopping));
  const admit = createAdmit({
    settings: (namespace) => ({
      ...settings,
      trustAnchorsPem: certificates.trustAnchors,
      componentContainers: containersIn(watches.components, namespace),
    }),
    events,
    clock,
    log,
  });
  const [port, drainMs] = [flags["webhook-port"], flags["drain-timeout"]];
  return startWebhook({ source: certificates, admit, port, drainMs, metrics, clock, log });
}

function createDistribution(
  { flags, kube, leadership, watches, certificates, controllers }: Open,
  isSynced: () => boolean,
): Distribution {
  return new Distribution({
    ...kube,
    kube: kube.client,
    resources: controllers.table,
    reports: controllers.reports,
    pods: watches.pods,
    certificates,
    serverName: serviceNames(flags)[0] ?? "",
    leadership,
    account: { namespace: flags.namespace, serviceAccount: flags["service-account"] },
    watchedNamespaces: flags["watch-namespaces"],
    readToken: async () => (await readFile(flags["identity-token-file"], "utf8")).trim(),
    isSynced,
    streamsMax: streamsWithin(process.constrainedMemory()),
  });
}

/** What the operator takes without any stream, and what a stream costs it, in bytes (docs/performance.md). */
const OWN_BYTES = 200 * 2 ** 20;
const STREAM_BYTES = 144 * 2 ** 10;

/** As many streams as a container's memory has room for; `limitBytes` 0 or beyond any machine's: there is no limit. */
export function streamsWithin(limitBytes: number): number {
  if (limitBytes <= 0 || limitBytes > totalmem()) return STREAMS_MAX;
  return Math.min(STREAMS_MAX, Math.max(STREAMS_MIN, Math.floor((limitBytes - OWN_BYTES) / STREAM_BYTES)));
}

function openProbes(
  flags: Readonly<OperatorFlags>,
  metrics: PrometheusOperatorMetrics,
  health: Health,
): Promise<Probes> {
  return startProbes({
    healthPort: flags["health-port"],
    metricsPort: flags["metrics-port"],
    unready: () => health.unready(),
    unhealthy: () => stalled(health.stalledForMs()),
    metrics: () => metrics.text(),
  });
}

function stalled(ms: number): string | null {
  return ms < STALLED_MAX_MS ? null : `no sign of life from the API server for ${Math.round(ms / 1000)} s`;
}
