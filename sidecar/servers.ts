// The servers of one sidecar: the API, the public port and the metrics.
import { createServer, type ServerResponse } from "node:http";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { BodyGarbage, youngCollection } from "./body-garbage.ts";
import type { ComponentHost } from "./components/host.ts";
import { statePathLabel } from "./http/path-label.ts";
import { Router } from "./http/router.ts";
import { createHttpServer, type Handler, type HttpServerOptions } from "./http/server.ts";
import { addPublicRoutes, addSidecarRoutes, type SidecarRoutesOptions } from "./http/sidecar-routes.ts";
import { addStateRoutes } from "./http/state-routes.ts";
import { createTokenCheck } from "./http/token.ts";
import { drain, type Listening, listen } from "./listen.ts";
import type { Metrics } from "./metrics.ts";
import type { SidecarSettings } from "./settings.ts";
import { noPolicies } from "./state/policies.ts";
import { StateService } from "./state/service.ts";

export interface ServersOptions {
  readonly settings: SidecarSettings;
  readonly onShutdown: (force: boolean) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly components: ComponentHost;
}

/** The API, the public port and the metrics. */
export class Servers {
  api: Listening | null = null;
  metrics: Listening | null = null;
  #publicApi: Listening | null = null;
  #draining = false;
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
    addSidecarRoutes(api, routes);
    const apiOptions = this.#httpOptions(api);
    const { listenAddresses: addresses, httpPort: port } = settings;
    this.api = await listen({ what: "the HTTP API", create: () => createHttpServer(apiOptions), addresses, port });
    if (settings.publicPort !== null) await this.#openPublic(routes, settings.publicPort);
    if (settings.metricsEnabled) {
      const metricsAddresses = settings.metricsListenAddress === "" ? [] : [settings.metricsListenAddress];
      const create = () => createServer((_request, response) => void answerMetrics(metrics, response));
      this.metrics = await listen({ what: "metrics", create, addresses: metricsAddresses, port: settings.metricsPort });
    }
  }

  async close(drainMs: number): Promise<void> {
    this.#draining = true;
    const all = [this.api, this.#publicApi, this.metrics].flatMap((listening) => listening?.servers ?? []);
    await drain(all, drainMs, this.#options.clock);
  }

  async #openPublic(routes: SidecarRoutesOptions, port: number): Promise<void> {
    const router = new Router<Handler>();
    addPublicRoutes(router, routes);
    const options = { ...this.#httpOptions(router), token: null, allowedOrigins: [] };
    const addresses = this.#options.settings.publicListenAddresses;
    this.#publicApi = await listen({
      what: "the public API",
      create: () => createHttpServer(options),
      addresses,
      port,
    });
  }

  #routes(): SidecarRoutesOptions {
    const { settings, onShutdown, clock, metrics, components } = this.#options;
    return {
      settings,
      stores: components,
      statuses: () => components.statuses(),
      fileProblems: () => components.fileProblems(),
      service: new StateService({ stores: components, clock, metrics, policies: noPolicies }),
      onShutdown,
      attributes: new Map(),
    };
  }

  #httpOptions(router: Router<Handler>): HttpServerOptions {
    const { settings, clock, log, metrics, components } = this.#options;
    return {
      router,
      appId: settings.appId,
      clock,
      log: log.scoped("dapr.runtime.http"),
      metrics,
      token: settings.apiToken === null ? null : createTokenCheck(settings.apiToken),
      allowedOrigins: settings.allowedOrigins,
      apiLogging: settings.apiLogging,
      headerBytesMax: settings.headerBytesMax,
      bodyBytesMax: settings.bodyBytesMax,
      isDraining: () => this.#draining,
      onBody: (bytes) => this.#garbage.note(bytes),
      pathLabel: statePathLabel(components),
    };
  }
}

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

async function answerMetrics(metrics: Metrics, response: ServerResponse): Promise<void> {
  const text = await metrics.text();
  response.writeHead(200, { "Content-Type": METRICS_TYPE });
  response.end(text);
}
