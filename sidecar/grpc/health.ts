// gRPC's health service, which Dapr does not have: SERVING while the sidecar serves, NOT_SERVING from the moment it
// drains, and in a cluster until the Components of its start are open. Later it does not depend on a store, as health
// over HTTP does not: one outage must not take every pod out.
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "#proto/gen/grpc/health/v1/health.ts";
import { encodeMessage } from "#proto/wire.ts";
import { CallError } from "./errors.ts";
import { decodeRequest, type Method, type StreamCall, unary } from "./method.ts";

const SERVICE = "/grpc.health.v1.Health/";
/** Watches open at a time. */
const WATCHES_MAX = 1000;

export class Health {
  readonly #services: ReadonlySet<string>;
  readonly #watches = new Set<() => void>();
  readonly #unready: () => string | null;
  #draining = false;

  /**
   * `services`: full names, without slashes. "" stands for the sidecar as a whole and is always known. `unready`: why it
   * is not ready yet, or null.
   */
  constructor(services: Iterable<string>, unready: () => string | null) {
    this.#services = new Set(["", ...services]);
    this.#unready = unready;
  }

  methods(): readonly Method[] {
    return [
      unary({
        path: `${SERVICE}Check`,
        api: null,
        request: HealthCheckRequest,
        response: HealthCheckResponse,
        handle: ({ service }) => this.#check(service),
      }),
      { kind: "stream", path: `${SERVICE}Watch`, api: null, serve: (requests, call) => this.#watch(requests, call) },
    ];
  }

  /** Tells those who watch, and ends their calls. */
  drain(): void {
    this.#draining = true;
    for (const wake of this.#watches) wake();
  }

  #status(service: string): ServingStatus {
    if (!this.#services.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    return this.#draining || this.#unready() !== null ? ServingStatus.NOT_SERVING : ServingStatus.SERVING;
  }

  #check(service: string): HealthCheckResponse {
    const status = this.#status(service);
    if (status === ServingStatus.SERVICE_UNKNOWN) throw new CallError("NotFound", "unknown service");
    return { status };
  }

  async #watch(requests: AsyncIterable<Uint8Array>, call: StreamCall): Promise<void> {
    for await (const bytes of requests) {
      const { service } = decodeRequest(HealthCheckRequest, bytes);
      const tell = (): Promise<void> =>
        call.send(encodeMessage(HealthCheckResponse, { status: this.#status(service) }));
      await tell();
      if (!this.#draining) await this.#change(call.signal);
      if (call.signal.aborted) return;
      await tell();
      throw new CallError("Unavailable", "the sidecar is shutting down");
    }
  }

  /** Resolves when the sidecar drains or the client is gone. */
  async #change(signal: AbortSignal): Promise<void> {
    if (this.#watches.size >= WATCHES_MAX) {
      throw new CallError("ResourceExhausted", `the sidecar keeps at most ${WATCHES_MAX} health watches`);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#watches.add(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
    await promise;
    this.#watches.delete(resolve);
  }
}
