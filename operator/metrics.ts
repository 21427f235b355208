// The operator's metrics as calls. Every label value is of a closed list: never a name, a key or a message.

export interface OperatorMetrics {
  /** `controller`: "component", "pod" … */
  reconciled(controller: string, outcome: "same" | "written" | "failed", durationMs: number): void;
  queueDepth(controller: string, depth: number): void;
  /** `resource`: "components", "pods" …; `cause`: "gone" (410), "error", "silence", "ended", "relist". */
  watchRestarted(resource: string, cause: string): void;
  cached(resource: string, objects: number): void;
  isLeader(leads: boolean): void;
  streams(open: number): void;
  /** `cause`: "slow", "revoked", "replaced", "aged", "shutdown", "client". */
  streamEnded(cause: string): void;
  /** `outcome` of a sidecar that wants its stream. */
  authorized(outcome: "allowed" | "refused" | "failed"): void;
  admitted(outcome: "injected" | "skipped" | "denied" | "failed", reason: string, durationMs: number): void;
  /** Pods that ask for a sidecar and run without one, as of now. */
  unsidecared(pods: number): void;
  /** `certificate`: "ca" or "serving". Seconds since 1970. */
  certificateExpires(certificate: string, atSec: number): void;
  /** False where the CRD of Components has no status: Dapr's own, most likely. */
  hasStatus(isThere: boolean): void;
  /** Components by what `Ready` says of them. */
  components(counts: Readonly<Record<"True" | "False" | "Unknown", number>>): void;
}

export const noOperatorMetrics: OperatorMetrics = {
  reconciled: () => undefined,
  queueDepth: () => undefined,
  watchRestarted: () => undefined,
  cached: () => undefined,
  isLeader: () => undefined,
  streams: () => undefined,
  streamEnded: () => undefined,
  authorized: () => undefined,
  admitted: () => undefined,
  unsidecared: () => undefined,
  certificateExpires: () => undefined,
  hasStatus: () => undefined,
  components: () => undefined,
};
