// The sidecar as one object: opens the Components, then the servers; closes them in the reverse order. Reads no flag,
// no environment and no signal itself: whoever starts it hands them in.
import { hostname } from "node:os";
import { type Clock, sleep, systemClock } from "#kit/clock.ts";
import { createLog, type Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { RUNTIME_VERSION, VERSION } from "#kit/version.ts";
import { type ComponentHost, startComponents } from "./components/host.ts";
import { type Metrics, noMetrics } from "./metrics.ts";
import { Servers } from "./servers.ts";
import type { SidecarSettings } from "./settings.ts";
import type { StoreTable } from "./state/table.ts";

/** What the process around the sidecar gives it. */
export interface SidecarHost {
  /** For `envRef`, the local.env secret store and templates. */
  readonly env: NodeJS.ProcessEnv;
  /** Takes one log line with its line end. */
  writeLog(line: string): void;
  /** A client asked for the end, over the API. */
  onShutdown(force: boolean): void;
}

export interface Sidecar {
  /** Addresses of the API, without the port. */
  readonly httpAddresses: readonly string[];
  readonly httpPort: number;
  /** Null when metrics are off. */
  readonly metricsPort: number | null;
  readonly stores: StoreTable;
  readonly log: Log;
  /** Reads the resource folders again; resolves when what changed is in effect. */
  reload(): Promise<void>;
  /** Answers what is under way within the drain time, then closes the stores. May be called again. */
  close(): Promise<void>;
}

/**
 * Starts a sidecar and resolves when it serves. Rejects, with nothing left open, when a Component without `ignoreErrors`
 * cannot be opened or a port cannot be bound (a ListenError).
 */
export async function startSidecar(settings: SidecarSettings, host: SidecarHost): Promise<Sidecar> {
  const clock = systemClock;
  const startMs = clock.monotonicMs();
  const log = createLog({
    level: settings.logLevel,
    json: settings.logJson,
    appId: settings.appId,
    instance: hostname(),
    version: VERSION,
    write: (line) => host.writeLog(line),
    nowMs: () => clock.nowMs(),
  });
  const metrics = await openMetrics(settings);
  const components = await startComponents({ ...settings, env: host.env, clock, random: systemRandom, log, metrics });
  const servers = new Servers({
    settings,
    onShutdown: (force) => host.onShutdown(force),
    clock,
    log,
    metrics,
    components,
  });
  try {
    await servers.open();
  } catch (error) {
    await servers.close(0);
    await components.close(0);
    throw error;
  }
  const elapsedMs = Math.round(clock.monotonicMs() - startMs);
  log.info(
    `dapr initialized. Status: Running. Init Elapsed ${elapsedMs}ms`,
    startFields(settings, servers, components),
  );
  return toSidecar({ settings, clock, log, components, servers });
}

async function openMetrics(settings: SidecarSettings): Promise<Metrics> {
  if (!settings.metricsEnabled) return noMetrics;
  const { PrometheusMetrics } = await import("./prometheus.ts");
  return new PrometheusMetrics({ appId: settings.appId, namespace: settings.namespace });
}

function startFields(
  settings: SidecarSettings,
  servers: Servers,
  components: ComponentHost,
): Record<string, string | number> {
  const names = components
    .statuses()
    .map(({ name, type, version, state }) => `${name} (${type}/${version}${state === "ready" ? "" : `, ${state}`})`);
  return {
    runtime: RUNTIME_VERSION,
    http_port: servers.api?.port ?? settings.httpPort,
    metrics_port: servers.metrics?.port ?? 0,
    components: names.join(", "),
  };
}

interface Parts {
  readonly settings: SidecarSettings;
  readonly clock: Clock;
  readonly log: Log;
  readonly components: ComponentHost;
  readonly servers: Servers;
}

function toSidecar({ settings, clock, log, components, servers }: Parts): Sidecar {
  let closing: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    if (settings.blockShutdownMs > 0) await sleep(clock, settings.blockShutdownMs, new AbortController().signal);
    await servers.close(settings.drainMs);
    await components.close(settings.drainMs);
    log.info("the sidecar has stopped");
  };
  return {
    httpAddresses: servers.api?.addresses ?? [],
    httpPort: servers.api?.port ?? settings.httpPort,
    metricsPort: servers.metrics?.port ?? null,
    stores: components,
    log,
    reload: () => components.reload(),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
