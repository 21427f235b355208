// The way of jobs from the event loop to one database thread and back: a bounded queue, one batch at a time, time limits,
// and a new thread when one dies. Knows no SQL and no Store; nothing here waits for the disk.
import type { Worker } from "node:worker_threads";
import { unreachable } from "#kit/assert.ts";
import type { Clock, Timer } from "#kit/clock.ts";
import { formatMs } from "#kit/duration.ts";
import type { Log } from "#kit/log.ts";
import { StoreError } from "../store.ts";
import { type Answer, type Failure, isChange, type Job, type Order, type Report, type Results } from "./messages.ts";
import { PendingJob } from "./pending-job.ts";

/** Jobs that may wait for the thread; one more is refused. */
export const QUEUED_JOBS_MAX = 4096;
/** Bytes of keys and values that may wait; a job that is alone may be larger. */
export const QUEUED_BYTES_MAX: number = 32 * 1024 * 1024;
/** Jobs that share one transaction. */
const BATCH_JOBS_MAX = 128;
/** Bytes of keys and values that share one transaction; a single job may be larger. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** The first new thread comes at once; from the second crash without an answer in between, after this, then doubled. */
const RESTART_FIRST_MS = 100;
const RESTART_LONGEST_MS = 5000;
/** How long a thread may take to end after its last batch before it is ended. */
const CLOSE_WAIT_MS = 5000;

export interface LaneOptions {
  readonly start: () => Worker;
  readonly clock: Clock;
  readonly log: Log;
  /** Longest wait of a job, from `run` to its answer. */
  readonly timeoutMs: number;
  /** "the database file /data/state.db" */
  readonly database: string;
}

interface Opening {
  readonly resolve: (journalMode: string) => void;
  readonly reject: (error: StoreError) => void;
}

export class Lane {
  readonly #options: LaneOptions;
  /** In order of arrival; a set, because a caller that leaves is taken out of the middle. */
  readonly #queue = new Set<PendingJob>();
  #queuedBytes = 0;
  #sent: readonly PendingJob[] = [];
  #worker: Worker | null = null;
  /** The thread has reported and takes batches. */
  #ready = false;
  #opening: Opening | null = null;
  #postPlanned = false;
  #expiry: Timer | null = null;
  #crashes = 0;
  /** Why there is no thread just now; null when there is one or one is starting. */
  #down: string | null = null;
  #restart: Timer | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Starts the thread. Gives the journal mode, or rejects with why the database cannot be opened. Called once, first. */
  open(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const leave = (): void => reject(new StoreError("timeout", `${this.#options.database} was not opened in time`));
      const settle = (): void => signal.removeEventListener("abort", leave);
      this.#opening = {
        resolve: (journalMode) => {
          settle();
          resolve(journalMode);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      this.#startThread();
    });
  }

  /** Queues a job. Rejects with a StoreError; the signal takes a queued job out, and ends the waiting for a sent one. */
  run<J extends Job>(job: J, signal: AbortSignal): Promise<Results[J["kind"]]> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal(signal);
      if (refusal !== null) return reject(refusal);
      const pending = new PendingJob({
        job,
        signal,
        deadlineMs: this.#options.clock.monotonicMs() + this.#options.timeoutMs,
        // The thread answers each kind of job with its own kind of result.
        resolve: (result) => resolve(result as Results[J["kind"]]),
        reject,
        onAbort: () => this.#leave(pending),
      });
      this.#queue.add(pending);
      this.#queuedBytes += pending.bytes;
      this.#expiry ??= this.#options.clock.after(this.#options.timeoutMs, () => this.#expire());
      this.#planPost();
    });
  }

  /**
   * Jobs that wait are rejected, those that were sent are finished, the thread ends, but not before `first` is done.
   * May be called again.
   */
  close(first: Promise<void> = Promise.resolve()): Promise<void> {
    this.#closing ??= this.#shut(first);
    return this.#closing;
  }

  #refusal(signal: AbortSignal): StoreError | null {
    const { database } = this.#options;
    if (this.#closing !== null) return closed();
    if (signal.aborted) return new StoreError("timeout", "the caller left before the work began");
    if (this.#down !== null) return new StoreError("unavailable", this.#down);
    if (this.#queue.size < QUEUED_JOBS_MAX && this.#queuedBytes < QUEUED_BYTES_MAX) return null;
    return new StoreError(
      "unavailable",
      `${database}: ${this.#queue.size} requests with ${this.#queuedBytes} bytes wait already; nothing was written`,
    );
  }

  /** All that comes in one turn of the event loop goes out together: a message costs more than a job. */
  #planPost(): void {
    if (this.#postPlanned || !this.#isIdle()) return;
    this.#postPlanned = true;
    setImmediate(() => {
      this.#postPlanned = false;
      if (this.#isIdle()) this.#post();
    });
  }

  #isIdle(): boolean {
    return this.#ready && this.#sent.length === 0 && this.#queue.size > 0 && this.#closing === null;
  }

  #post(): void {
    const batch: PendingJob[] = [];
    let bytes = 0;
    for (const pending of this.#queue) {
      if (batch.length === BATCH_JOBS_MAX || (batch.length > 0 && bytes + pending.bytes > BATCH_BYTES_MAX)) break;
      batch.push(pending);
      bytes += pending.bytes;
    }
    for (const pending of batch) {
      this.#dequeue(pending);
      pending.sent = true;
    }
    this.#sent = batch;
    const order: Order = {
      kind: "batch",
      nowMs: this.#options.clock.nowMs(),
      jobs: batch.map((pending) => pending.job),
    };
    this.#worker?.postMessage(order, batch.flatMap(memoryOf));
  }

  #dequeue(pending: PendingJob): void {
    if (this.#queue.delete(pending)) this.#queuedBytes -= pending.bytes;
  }

  #startThread(): void {
    this.#down = null;
    try {
      this.#listen(this.#options.start());
    } catch (error) {
      this.#crashed(error);
    }
  }

  #listen(worker: Worker): void {
    let cause: unknown = "it ended by itself";
    this.#worker = worker;
    worker.on("message", (report: Report) => this.#receive(report));
    worker.on("error", (error) => {
      cause = error;
    });
    worker.on("messageerror", (error) => {
      cause = error;
      void worker.terminate();
    });
    worker.on("exit", () => this.#crashed(cause));
  }

  #receive(report: Report): void {
    switch (report.kind) {
      case "opened":
        this.#opening?.resolve(report.journalMode);
        break;
      case "refused":
        // Only a first open fails as a whole. A later thread tries again with each batch, and its jobs say why not.
        this.#opening?.reject(toStoreError(report.failure));
        break;
      case "answers":
        this.#settle(report.answers);
        break;
      default:
        unreachable(report);
    }
    if (report.kind !== "answers") this.#opening = null;
    this.#ready = true;
    if (this.#isIdle()) this.#post();
  }

  #settle(answers: readonly Answer[]): void {
    const sent = this.#sent;
    this.#sent = [];
    this.#crashes = 0;
    for (const [index, pending] of sent.entries()) {
      const answer = answers[index];
      if (answer === undefined) pending.reject(new StoreError("failed", "the database thread gave no answer"));
      else if ("failure" in answer) pending.reject(toStoreError(answer.failure));
      else pending.resolve(answer.result);
    }
  }

  /** The thread is gone: after `close` as it should be, else a new one is started. */
  #crashed(cause: unknown): void {
    this.#worker = null;
    this.#ready = false;
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `the thread of ${this.#options.database} ended: ${why}`;
    for (const pending of this.#sent) pending.reject(lost(pending.job, message));
    this.#sent = [];
    this.#opening?.reject(new StoreError("unavailable", message));
    if (this.#closing !== null || this.#opening !== null) return;
    this.#options.log.error("database thread ended, starting another", {
      database: this.#options.database,
      cause: why,
    });
    this.#crashes++;
    if (this.#crashes === 1) this.#startThread();
    else this.#restartLater(message);
  }

  #restartLater(message: string): void {
    const delayMs = Math.min(RESTART_LONGEST_MS, RESTART_FIRST_MS * 2 ** (this.#crashes - 2));
    this.#down = `${message}; nothing was written; the next attempt comes within ${formatMs(delayMs)}`;
    for (const pending of this.#queue) pending.reject(new StoreError("unavailable", this.#down));
    this.#queue.clear();
    this.#queuedBytes = 0;
    this.#restart = this.#options.clock.after(delayMs, () => this.#startThread());
  }

  #leave(pending: PendingJob): void {
    this.#dequeue(pending);
    const when = pending.sent ? "while the database worked" : "before the work began";
    const outcome = !isChange(pending.job)
      ? ""
      : pending.sent
        ? "; the write may have happened"
        : "; nothing was written";
    pending.reject(new StoreError("timeout", `the caller left ${when}${outcome}`));
  }

  /** One timer for all jobs: they wait equally long, so the oldest is always the next to expire. */
  #expire(): void {
    const { clock, timeoutMs } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#expiry = null;
    for (const pending of [...this.#sent, ...this.#queue]) {
      if (pending.settled) continue;
      if (pending.deadlineMs > nowMs) {
        this.#expiry = clock.after(pending.deadlineMs - nowMs, () => this.#expire());
        return;
      }
      this.#dequeue(pending);
      pending.reject(late(pending, `${this.#options.database} gave no answer within timeout (${formatMs(timeoutMs)})`));
    }
  }

  async #shut(first: Promise<void>): Promise<void> {
    for (const pending of this.#queue) pending.reject(closed());
    this.#queue.clear();
    this.#queuedBytes = 0;
    this.#restart?.cancel();
    await first;
    const worker = this.#worker;
    if (worker !== null) await this.#endThread(worker);
    this.#expiry?.cancel();
  }

  /** Orders are worked off in turn, so the batch that was sent is still answered. */
  async #endThread(worker: Worker): Promise<void> {
    const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    const limit = this.#options.clock.after(CLOSE_WAIT_MS, () => void worker.terminate());
    const order: Order = { kind: "close" };
    worker.postMessage(order);
    await ended;
    limit.cancel();
  }
}

/** The buffers of a job's values: they move to the thread, and are not copied. */
function memoryOf(pending: PendingJob): ArrayBuffer[] {
  if (pending.job.kind !== "apply") return [];
  return pending.job.changes.flatMap((change) => (change.value === null ? [] : [change.value.buffer]));
}

export function toStoreError(failure: Failure): StoreError {
  return new StoreError(failure.code, failure.message);
}

function closed(): StoreError {
  return new StoreError("closed", "the store was closed");
}

function lost(job: Job, message: string): StoreError {
  if (isChange(job)) return new StoreError("unknown-outcome", `${message}; the write may have happened`);
  return new StoreError("unavailable", message);
}

function late(pending: PendingJob, message: string): StoreError {
  if (!pending.sent) return new StoreError("unavailable", `${message}; the work had not begun, nothing was written`);
  if (isChange(pending.job)) return new StoreError("timeout", `${message}; the write may have happened`);
  return new StoreError("timeout", message);
}
