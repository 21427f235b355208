// The servers of one sidecar: the API, the public port and the metrics.
import { createServer, type ServerResponse } from "node:http";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { About } from "./about.ts";
import { BodyGarbage, youngCollection } from "./body-garbage.ts";
import type { ComponentHost } from "./components/host.ts";
import type { ConfigurationSource } from "./configuration/source.ts";
import type { GrpcApi } from "./grpc/api.ts";
import { addActorRoutes } from "./http/actor-routes.ts";
import { addOwnRoutes } from "./http/own-routes.ts";
import { configuredPathLabel, statePathLabel } from "./http/path-label.ts";
import { Router } from "./http/router.ts";
import { createHttpServer, type Handler, type HttpServerOptions } from "./http/server.ts";
import { addPublicRoutes, addSidecarRoutes, type SidecarRoutesOptions } from "./http/sidecar-routes.ts";
import { addStateRoutes } from "./http/state-routes.ts";
import { createTokenCheck } from "./http/token.ts";
import { drain, type Listener, type Listening, listen, listenOnPath } from "./listen.ts";
import type { Metrics } from "./metrics.ts";
import type { Resiliencies } from "./resiliency/resiliencies.ts";
import type { SidecarSettings } from "./settings.ts";
import { type SocketProtocol, socketPath } from "./socket-path.ts";
import { ActorStates } from "./state/actors.ts";
import { StateService } from "./state/service.ts";
import type { ComponentStatus, FileProblem, OperatorStatus } from "./state/table.ts";
import type { TracerSource } from "./tracing/tracer.ts";

export interface ServersOptions {
  readonly settings: SidecarSettings;
  readonly onShutdown: (force: boolean) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly components: ComponentHost;
  readonly configuration: ConfigurationSource;
  readonly resiliencies: Resiliencies;
  readonly tracing: TracerSource;
  /** Null outside of a cluster. */
  readonly operator: (() => OperatorStatus) | null;
}

/** The API, the public port and the metrics. */
export class Servers {
  api: Listening | null = null;
  grpc: Listening | null = null;
  metrics: Listening | null = null;
  #grpcApi: GrpcApi | null = null;
  #publicApi: Listening | null = null;
  readonly #ending = new AbortController();
  readonly #options: ServersOptions;
  readonly #garbage = new BodyGarbage(youngCollection());

  constructor(options: ServersOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { settings, metrics } = this.#options;
    const routes = this.#routes();
    const api = new Router<Handler>();
    addStateRoutes(api, { service: routes.service, bodyBytesMax: settings.bodyBytesMax });
    const actors = this.#actors(routes.service);
    addActorRoutes(api, { actors, bodyBytesMax: settings.bodyBytesMax });
    addSidecarRoutes(api, routes);
    addOwnRoutes(api, { service: routes.service, bodyBytesMax: settings.bodyBytesMax });
    const apiOptions = this.#httpOptions(api);
    this.api = await this.#listenApi("http", "the HTTP API", () => createHttpServer(apiOptions));
    await this.#openGrpc(routes, actors);
    if (settings.publicPort !== null) await this.#openPublic(routes, settings.publicPort);
    if (settings.metricsEnabled) {
      const metricsAddresses = settings.metricsListenAddress === "" ? [] : [settings.metricsListenAddress];
      const create = () => createServer((_request, response) => void answerMetrics(metrics, response));
      this.metrics = await listen({ what: "metrics", create, addresses: metricsAddresses, port: settings.metricsPort });
    }
  }

  async close(drainMs: number): Promise<void> {
    this.#ending.abort();
    this.#grpcApi?.drain();
    const all = [this.api, this.grpc, this.#publicApi, this.metrics].flatMap((listening) => listening?.servers ?? []);
    await drain(all, drainMs, this.#options.clock);
  }

  /** On the protocol's socket when there is a folder for sockets, else on its port. */
  #listenApi(protocol: SocketProtocol, what: string, create: () => Listener): Promise<Listening> {
    const { unixSocketFolder, appId, listenAddresses: addresses, httpPort, grpcPort } = this.#options.settings;
    if (unixSocketFolder !== null) {
      return listenOnPath({ what, create, path: socketPath(unixSocketFolder, appId, protocol) });
    }
    return listen({ what, create, addresses, port: protocol === "http" ? httpPort : grpcPort });
  }

  async #openGrpc({ service, about, unready }: SidecarRoutesOptions, actors: ActorStates): Promise<void> {
    const { settings, onShutdown, clock, log, metrics, configuration, tracing } = this.#options;
    const { GrpcApi } = await import("./grpc/api.ts");
    const api = new GrpcApi({
      unready,
      service,
      actors,
      about,
      onShutdown,
      clock,
      log: log.scoped("dapr.runtime.grpc"),
      metrics,
      tracing,
      apiToken: settings.apiToken,
      isAllowed: (group) => configuration.isAllowed("grpc", group),
      apiLogging: settings.apiLogging ?? configuration.current.apiLogging.enabled ?? false,
      omitsHealthChecks: configuration.current.apiLogging.omitHealthChecks,
      bodyBytesMax: settings.bodyBytesMax,
      headerBytesMax: settings.headerBytesMax,
      onBody: (bytes) => this.#garbage.note(bytes),
    });
    this.#grpcApi = api;
    this.grpc = await this.#listenApi("grpc", "the gRPC API", () => api.server());
  }

  async #openPublic(routes: SidecarRoutesOptions, port: number): Promise<void> {
    const router = new Router<Handler>();
    addPublicRoutes(router, routes);
    const options = { ...this.#httpOptions(router), token: null, allowedOrigins: [], isAllowed: () => true };
    const addresses = this.#options.settings.publicListenAddresses;
    this.#publicApi = await listen({
      what: "the public API",
      create: () => createHttpServer(options),
      addresses,
      port,
    });
  }

  #routes(): SidecarRoutesOptions {
    const { settings, onShutdown, clock, metrics, components, configuration, resiliencies, operator } = this.#options;
    const statuses = (): readonly ComponentStatus[] => components.statuses();
    const fileProblems = (): readonly FileProblem[] => [...components.fileProblems(), ...configuration.problems()];
    return {
      settings,
      stores: components,
      statuses,
      fileProblems,
      unready: () => components.unready(),
      operator,
      service: new StateService({
        stores: components,
        clock,
        metrics,
        policies: resiliencies,
        ending: this.#ending.signal,
      }),
      onShutdown,
      about: new About({
        settings,
        stores: components,
        statuses,
        fileProblems,
        enabledFeatures: () => configuration.enabledFeatures(),
        resiliencies: () => resiliencies.names(),
        operator,
      }),
    };
  }

  #actors(service: StateService): ActorStates {
    const { settings, log, components: stores } = this.#options;
    return new ActorStates({ service, stores, appId: settings.appId, log: log.scoped("dapr.runtime.actor") });
  }

  #httpOptions(router: Router<Handler>): HttpServerOptions {
    const { settings, clock, log, metrics, components, configuration, tracing } = this.#options;
    const { apiLogging, metrics: metricsSettings } = configuration.current;
    return {
      router,
      appId: settings.appId,
      clock,
      log: log.scoped("dapr.runtime.http"),
      metrics,
      token: settings.apiToken === null ? null : createTokenCheck(settings.apiToken),
      allowedOrigins: settings.allowedOrigins,
      apiLogging: settings.apiLogging ?? apiLogging.enabled ?? false,
      omitsHealthChecks: apiLogging.omitHealthChecks,
      isAllowed: (api) => configuration.isAllowed("http", api),
      tracing,
      keysInSpans: () => configuration.current.features.get("KeysInSpans") ?? true,
      serverTiming: () => configuration.feature("ServerTiming"),
      http2: settings.http2,
      headerBytesMax: settings.headerBytesMax,
      bodyBytesMax: settings.bodyBytesMax,
      isDraining: () => this.#ending.signal.aborted,
      onBody: (bytes) => this.#garbage.note(bytes),
      pathLabel: configuredPathLabel(statePathLabel(components), metricsSettings.http),
    };
  }
}

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

async function answerMetrics(metrics: Metrics, response: ServerResponse): Promise<void> {
  const text = await metrics.text();
  response.writeHead(200, { "Content-Type": METRICS_TYPE });
  response.end(text);
}
