// The sidecar's metrics, under Dapr's names and labels (dapr-state-api.md 9), so that dashboards keep working.
// Label values come from closed lists or from manifests; a key never becomes one.
import type { OperatorStatus } from "./state/table.ts";

/** dapr_component_state_* `operation`; the last three are Pannier's own. */
export type StateOperation =
  | "get"
  | "set"
  | "delete"
  | "bulk_get"
  | "bulk_delete"
  | "query"
  | "transaction"
  | "list"
  | "count"
  | "delete_by_prefix";

export interface HttpSample {
  readonly method: string;
  /** The route's label, as "/v1.0/state/orders"; never with a key. */
  readonly path: string;
  readonly status: number;
  readonly latencyMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export interface GrpcSample {
  /** The full path, as "/dapr.proto.runtime.v1.Dapr/GetState"; "UNKNOWN" for all that are not there. */
  readonly method: string;
  /** As Go names it: "OK", "InvalidArgument". */
  readonly status: string;
  readonly latencyMs: number;
  /** Messages only, without framing. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** A policy of a Resiliency at its work: the labels of dapr_resiliency_*. */
export interface PolicySubject {
  /** The resource's name. */
  readonly name: string;
  /** The resource's; "" when it names none. */
  readonly namespace: string;
  readonly policy: "timeout" | "retry" | "circuitbreaker";
  /** "Statestore_orders" */
  readonly target: string;
}

/** Counts for one policy. `status` is the state of a circuit breaker, and "" for the other policies. */
export interface PolicySeries {
  /** It holds for a call. */
  applied(status: string): void;
  /** It did something: tried again, cut off, or changed its state. */
  activated(status: string): void;
  /** The state that a circuit breaker is in; null when there is no such breaker any more. */
  breakerState(status: string | null): void;
}

export interface Metrics {
  state(component: string, operation: StateOperation, success: boolean, latencyMs: number): void;
  http(sample: HttpSample): void;
  grpc(sample: GrpcSample): void;
  componentLoaded(): void;
  /** A Component of this type was opened. */
  componentInit(type: string): void;
  componentInitFail(type: string, reason: "creation" | "init", name: string): void;
  /** A manifest changed at run time: taken over, or refused and the last good one kept. */
  componentReload(name: string, success: boolean): void;
  /** How many manifests and folders of them cannot be used as they are. */
  fileProblems(count: number): void;
  /** An error answer with this code (`ERR_STATE_GET`) went out. `category` where it is not the one that the code implies. */
  errorCode(code: string, category?: string): void;
  /** A Resiliency was loaded. */
  resiliencyLoaded(name: string, namespace: string): void;
  /** The series of one policy; ask once and keep it. */
  policy(subject: PolicySubject): PolicySeries;
  /** Whether the store answered its last probe. */
  storeUp(name: string, up: boolean): void;
  /** The series of a Component that is gone. */
  storeGone(name: string): void;
  /** In a cluster: how the sidecar stands to the operator, asked at each scrape. */
  operator(status: () => OperatorStatus): void;
  /** The Prometheus text of all series. */
  text(): Promise<string>;
}

const noSeries: PolicySeries = {
  applied: () => undefined,
  activated: () => undefined,
  breakerState: () => undefined,
};

/** For `--enable-metrics=false`: counts nothing and loads nothing. */
export const noMetrics: Metrics = {
  state: () => undefined,
  http: () => undefined,
  grpc: () => undefined,
  componentLoaded: () => undefined,
  componentInit: () => undefined,
  componentInitFail: () => undefined,
  componentReload: () => undefined,
  fileProblems: () => undefined,
  errorCode: () => undefined,
  resiliencyLoaded: () => undefined,
  policy: () => noSeries,
  storeUp: () => undefined,
  storeGone: () => undefined,
  operator: () => undefined,
  text: () => Promise.resolve(""),
};
