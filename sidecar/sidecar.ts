// The sidecar as one object: opens the Components, then the servers; closes them in the reverse order. Reads no flag,
// no environment and no signal itself: whoever starts it hands them in.
import { hostname } from "node:os";
import type { MetricsSettings } from "#crds/configuration.ts";
import { type Clock, sleep, systemClock } from "#kit/clock.ts";
import { createLog, type Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { RUNTIME_VERSION, VERSION } from "#kit/version.ts";
import type { Cluster } from "./cluster.ts";
import { type ComponentHost, startComponents } from "./components/host.ts";
import { fileOrigin } from "./configuration/files.ts";
import { ConfigurationSource } from "./configuration/source.ts";
import { type Metrics, noMetrics } from "./metrics.ts";
import { Resiliencies } from "./resiliency/resiliencies.ts";
import { Servers } from "./servers.ts";
import type { OperatorSettings, SidecarSettings } from "./settings.ts";
import type { StoreTable } from "./state/table.ts";
import { loadDriverOr } from "./stores/registry.ts";
import { Tracing } from "./tracing/tracing.ts";

/** What the process around the sidecar gives it. */
export interface SidecarHost {
  /** For `envRef`, the local.env secret store, templates and the Configuration. */
  readonly env: NodeJS.ProcessEnv;
  /** Takes one log line with its line end. */
  writeLog(line: string): void;
  /** A client asked for the end, over the API. */
  onShutdown(force: boolean): void;
  /** Ends a start that waits for the operator: it rejects with the signal's reason. */
  readonly stopping?: AbortSignal;
}

export interface Sidecar {
  /** Addresses of the API, without the port. */
  readonly httpAddresses: readonly string[];
  /** 0 when the API is on a unix socket. */
  readonly httpPort: number;
  /** Path of the API's unix socket, or null. */
  readonly httpSocket: string | null;
  /** As for HTTP. */
  readonly grpcPort: number;
  readonly grpcSocket: string | null;
  /** Null when metrics are off. */
  readonly metricsPort: number | null;
  readonly stores: StoreTable;
  readonly log: Log;
  /** Reads the Configuration and the resource folders again; resolves when what changed is in effect. */
  reload(): Promise<void>;
  /** Answers what is under way within the drain time, then closes the stores. May be called again. */
  close(): Promise<void>;
}

/**
 * Starts a sidecar and resolves when it serves. Rejects, with nothing left open, when a file of the Configuration cannot
 * be used, a Component without `ignoreErrors` cannot be opened or a port cannot be bound (a ListenError). In a cluster
 * only the last ends a start: it waits for the operator, and says so on its health endpoints.
 */
export async function startSidecar(given: SidecarSettings, host: SidecarHost): Promise<Sidecar> {
  const clock = systemClock;
  const startMs = clock.monotonicMs();
  const log = createLog({
    level: given.logLevel,
    json: given.logJson,
    appId: given.appId,
    instance: hostname(),
    version: VERSION,
    write: (line) => host.writeLog(line),
    nowMs: () => clock.nowMs(),
  });
  const { operator } = given;
  const cluster = operator === null ? null : await joinCluster(given, operator, { clock, log, host });
  try {
    const parts = await openParts(given, cluster, { clock, log, host });
    const elapsedMs = Math.round(clock.monotonicMs() - startMs);
    log.info(`dapr initialized. Status: Running. Init Elapsed ${elapsedMs}ms`, startFields(parts));
    return toSidecar(parts);
  } catch (error) {
    await cluster?.close();
    throw error;
  }
}

interface Surroundings {
  readonly clock: Clock;
  readonly log: Log;
  readonly host: SidecarHost;
}

/** Loaded in a cluster only: others have no use for what it takes. */
async function joinCluster(
  settings: SidecarSettings,
  operator: OperatorSettings,
  { clock, log, host: { stopping } }: Surroundings,
): Promise<Cluster> {
  const { Cluster } = await import("./cluster.ts");
  return Cluster.join({ settings, operator, clock, random: systemRandom, log, stopping });
}

/** Rejects with nothing of its own left open; the cluster is the caller's. */
async function openParts(given: SidecarSettings, cluster: Cluster | null, around: Surroundings): Promise<Parts> {
  const { clock, log, host } = around;
  const configuration = await openConfiguration(given, cluster, around);
  const { current } = configuration;
  const settings = { ...given, metricsEnabled: given.metricsEnabled && current.metrics.enabled };
  const metrics = await openMetrics(settings, current.metrics);
  if (cluster !== null) metrics.operator(() => cluster.link.status());
  const resiliencies = new Resiliencies({ clock, random: systemRandom, log, metrics });
  const components = await startComponents({
    ...settings,
    env: host.env,
    clock,
    random: systemRandom,
    log,
    metrics,
    denied: () => configuration.current.denied,
    isFollowing: () => configuration.feature("HotReload"),
    onResiliencies: (all) => resiliencies.replace(all),
    operator: cluster?.link ?? null,
    loadDriver: (type) => loadDriverOr(type, settings.componentsSocketsFolder),
  });
  const tracingParts = { appId: settings.appId, clock, log: log.scoped("dapr.runtime.trace") };
  const tracing = await Tracing.open(tracingParts, current.tracing);
  const servers = new Servers({
    settings,
    onShutdown: (force) => host.onShutdown(force),
    clock,
    log,
    metrics,
    components,
    configuration,
    resiliencies,
    tracing,
    operator: cluster === null ? null : () => cluster.link.status(),
  });
  cluster?.makeRoom();
  try {
    await servers.open();
  } catch (error) {
    await servers.close(0);
    await components.close(0);
    await tracing.close();
    throw error;
  }
  configuration.onChange((now) => {
    components.reconsider();
    void tracing.adopt(now.tracing);
  });
  configuration.follow();
  cluster?.report(components);
  return { settings, clock, log, components, configuration, servers, tracing, cluster };
}

function openConfiguration(
  { configPaths, reconcileMs }: SidecarSettings,
  cluster: Cluster | null,
  { clock, log: parent, host: { env } }: Surroundings,
): Promise<ConfigurationSource> {
  const options = { reconcileMs, clock, log: parent.scoped("dapr.runtime.configuration") };
  if (cluster !== null) return cluster.configuration(options);
  return ConfigurationSource.open({ ...options, origin: fileOrigin(configPaths, env) });
}

async function openMetrics(settings: SidecarSettings, configured: MetricsSettings): Promise<Metrics> {
  if (!settings.metricsEnabled) return noMetrics;
  const { PrometheusMetrics } = await import("./prometheus.ts");
  return new PrometheusMetrics({ appId: settings.appId, namespace: settings.namespace, settings: configured });
}

function startFields({ settings, servers, components }: Parts): Record<string, string | number> {
  const names = components
    .statuses()
    .map(({ name, type, version, state }) => `${name} (${type}/${version}${state === "ready" ? "" : `, ${state}`})`);
  return {
    runtime: RUNTIME_VERSION,
    ...(servers.api?.path ? { http_socket: servers.api.path } : { http_port: servers.api?.port ?? settings.httpPort }),
    ...(servers.grpc?.path
      ? { grpc_socket: servers.grpc.path }
      : { grpc_port: servers.grpc?.port ?? settings.grpcPort }),
    metrics_port: servers.metrics?.port ?? 0,
    components: names.join(", "),
  };
}

interface Parts {
  readonly settings: SidecarSettings;
  readonly clock: Clock;
  readonly log: Log;
  readonly components: ComponentHost;
  readonly configuration: ConfigurationSource;
  readonly servers: Servers;
  readonly tracing: Tracing;
  /** Null outside of one. */
  readonly cluster: Cluster | null;
}

function toSidecar({ settings, clock, log, components, configuration, servers, tracing, cluster }: Parts): Sidecar {
  let closing: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    if (settings.blockShutdownMs > 0) await sleep(clock, settings.blockShutdownMs, new AbortController().signal);
    await configuration.close();
    // First of all: the operator is not to hear that a sidecar which ends has no stores.
    await cluster?.close();
    await servers.close(settings.drainMs);
    await components.close(settings.drainMs);
    await tracing.close();
    log.info("the sidecar has stopped");
  };
  return {
    httpAddresses: servers.api?.addresses ?? [],
    httpPort: servers.api?.port ?? settings.httpPort,
    httpSocket: servers.api?.path ?? null,
    grpcPort: servers.grpc?.port ?? settings.grpcPort,
    grpcSocket: servers.grpc?.path ?? null,
    metricsPort: servers.metrics?.port ?? null,
    stores: components,
    log,
    reload: async () => {
      await configuration.reload();
      await components.reload();
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
