// What the operator asks of an API server: one request, or one stream of a watch. Knows no resource.

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Begins with "/"; percent-encoded where it must be. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** "application/json" by default; see {@link PATCH_TYPES}. */
  readonly contentType?: string;
  /** "application/json" by default; a list of metadata only asks for another. */
  readonly accept?: string;
  /** REQUEST_TIMEOUT_MS by default. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** For a request that says nothing about it, in milliseconds. */
export const REQUEST_TIMEOUT_MS = 15_000;

export const PATCH_TYPES = {
  apply: "application/apply-patch+yaml",
  merge: "application/merge-patch+json",
} as const;

export interface KubeClient {
  /** Gives the decoded JSON of a 2xx answer; rejects with a {@link KubeError} for anything else. */
  request<T>(request: KubeRequest): Promise<T>;
  /**
   * Opens a watch: resolves when the status is 2xx, with the body's chunks as they come. The iterable ends when the
   * server ends the answer, and throws a {@link KubeError} when the connection breaks or `signal` aborts.
   */
  stream(request: KubeRequest & { readonly signal: AbortSignal }): Promise<AsyncIterable<Buffer>>;
  /** Ends all connections. */
  close(): void;
}

/** The reason of a {@link KubeError} for an answer that is longer than is read. */
export const ANSWER_TOO_LONG = "AnswerTooLong";

export class KubeError extends Error {
  override readonly name = "KubeError";
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** `reason` of the Status object ("Conflict", "AlreadyExists", "Expired" …), or null. */
  readonly reason: string | null;
  /** What the server asks for by Retry-After, in milliseconds; null when it does not. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    { status, reason, retryAfterMs, cause }: Pick<KubeError, "status" | "reason" | "retryAfterMs"> & ErrorOptions,
  ) {
    super(message, { cause });
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}
