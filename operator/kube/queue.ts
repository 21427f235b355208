// A queue of keys for reconcilers: a key waits at most once, is never worked on twice at the same time, and comes back by
// itself, later each time, as long as its worker rejects. Knows nothing of what a key stands for.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { OperatorMetrics } from "../metrics.ts";
import { Backoff, type BackoffLimits } from "./backoff.ts";

/** Keys worked on at once. */
export const WORKERS = 4;
/** After close, what waits is still worked on for so long, in milliseconds. */
export const DRAIN_MAX_MS = 5_000;
const BACKOFF: BackoffLimits = { firstMs: 100, mostMs: 60_000 };

export interface WorkQueueOptions {
  /** For logs and metrics: "component", "pod" … */
  readonly name: string;
  /** Rejects to have the key again later. */
  readonly worker: (key: string) => Promise<void>;
  /** {@link WORKERS} by default. */
  readonly workers?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: OperatorMetrics;
}

/** It holds each key once, so it is as long as there are objects (LIST_OBJECTS_MAX per resource) and never longer. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #workers: number;
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  /** Added while they ran: they run again afterwards. */
  readonly #again = new Set<string>();
  readonly #later = new Map<string, { readonly timer: Timer; readonly atMs: number }>();
  readonly #backoffs = new Map<string, Backoff>();
  #closed: { readonly done: Promise<void>; readonly drained: () => void } | null = null;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#workers = options.workers ?? WORKERS;
  }

  /** Keys that wait for a worker, those that run and are wanted again included; not those for later. */
  get depth(): number {
    return this.#waiting.size + this.#again.size;
  }

  /**
   * As soon as a worker is free. A key that waits already keeps its place, a plan for later is replaced by this; a closed
   * queue takes nothing.
   */
  add(key: string): void {
    if (this.#closed !== null) return;
    this.#cancelLater(key);
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#told();
    this.#startWorkers();
  }

  /** After `delayMs`; of several for one key the earliest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#closed !== null) return;
    const { clock } = this.#options;
    const atMs = clock.monotonicMs() + delayMs;
    const planned = this.#later.get(key);
    if (planned !== undefined && planned.atMs <= atMs) return;
    planned?.timer.cancel();
    const timer = clock.after(delayMs, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { timer, atMs });
  }

  /**
   * Takes nothing more, drops what is for later, and resolves when what waits and runs is done, or after DRAIN_MAX_MS
   * with what runs left behind. May be called again.
   */
  close(): Promise<void> {
    if (this.#closed !== null) return this.#closed.done;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(DRAIN_MAX_MS, () => {
      this.#waiting.clear();
      this.#again.clear();
      resolve();
    });
    this.#closed = { done: promise.then(() => timer.cancel()), drained: resolve };
    for (const key of [...this.#later.keys()]) this.#cancelLater(key);
    this.#resolveWhenDrained();
    return this.#closed.done;
  }

  #startWorkers(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#workers) return;
      this.#waiting.delete(key);
      this.#running.add(key);
      // It rejects never.
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    const { worker, random, name, log } = this.#options;
    try {
      await worker(key);
      this.#backoffs.delete(key);
    } catch (error) {
      const backoff = this.#backoffs.get(key) ?? new Backoff(BACKOFF, random);
      this.#backoffs.set(key, backoff);
      const waitMs = backoff.next();
      const message = error instanceof Error ? error.message : String(error);
      log.warn("reconcile failed", { controller: name, key, error: message, retry_ms: Math.round(waitMs) });
      if (!this.#again.has(key)) this.addAfter(key, waitMs);
    }
    this.#running.delete(key);
    if (this.#again.delete(key)) this.#waiting.add(key);
    this.#told();
    this.#startWorkers();
    this.#resolveWhenDrained();
  }

  #cancelLater(key: string): void {
    this.#later.get(key)?.timer.cancel();
    this.#later.delete(key);
  }

  #told(): void {
    this.#options.metrics.queueDepth(this.#options.name, this.depth);
  }

  #resolveWhenDrained(): void {
    if (this.#running.size === 0 && this.#waiting.size === 0) this.#closed?.drained();
  }
}
