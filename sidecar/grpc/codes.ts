// The status codes of gRPC by number and by the names that Dapr's metrics give them, which are Go's
// (https://grpc.io/docs/guides/status-codes).

export const Code = {
  OK: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  Unauthenticated: 16,
} as const;

export type CodeName = keyof typeof Code;

/** How a call ended. */
export interface Status {
  readonly code: CodeName;
  readonly message: string;
  /** A google.rpc.Status for the trailer grpc-status-details-bin; null when there is no more to say. */
  readonly details: Uint8Array | null;
}

export const OK: Status = { code: "OK", message: "", details: null };
