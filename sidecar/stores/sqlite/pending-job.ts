// A job and the promise of its caller, settled once: by an answer, a time limit, or the caller who leaves.
import { unreachable } from "#kit/assert.ts";
import type { StoreError } from "../store.ts";
import type { Job, Results } from "./messages.ts";

export interface PendingJobOptions {
  readonly job: Job;
  readonly signal: AbortSignal;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  readonly resolve: (result: Results[Job["kind"]]) => void;
  readonly reject: (error: StoreError) => void;
  readonly onAbort: () => void;
}

export class PendingJob {
  readonly job: Job;
  readonly deadlineMs: number;
  /** Size of the keys and values it carries; a key's characters count as a byte each. */
  readonly bytes: number;
  /** It is with the thread: what it does may happen, whoever waits. */
  sent = false;
  settled = false;
  readonly #options: PendingJobOptions;

  constructor(options: PendingJobOptions) {
    this.job = options.job;
    this.deadlineMs = options.deadlineMs;
    this.bytes = carriedBytes(options.job);
    this.#options = options;
    options.signal.addEventListener("abort", options.onAbort, { once: true });
  }

  resolve(result: Results[Job["kind"]]): void {
    if (this.#settle()) this.#options.resolve(result);
  }

  reject(error: StoreError): void {
    if (this.#settle()) this.#options.reject(error);
  }

  /** Whether it was not settled before. */
  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.#options.signal.removeEventListener("abort", this.#options.onAbort);
    return true;
  }
}

function carriedBytes(job: Job): number {
  let bytes = 0;
  switch (job.kind) {
    case "get":
      return job.key.length;
    case "getMany":
      for (const key of job.keys) bytes += key.length;
      return bytes;
    case "apply":
      for (const change of job.changes) bytes += change.key.length + (change.value?.byteLength ?? 0);
      return bytes;
    case "list":
    case "count":
    case "removeRange":
    case "cleanup":
    case "ping":
      return 0;
    default:
      return unreachable(job);
  }
}
