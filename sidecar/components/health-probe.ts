// Asks each store from time to time whether it answers, for health, metadata and metrics. Changes nothing else: a store
// that is down stays in the table, its driver recovers by itself.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Metrics } from "../metrics.ts";
import type { StoreEntry } from "../state/table.ts";
import { StoreError } from "../stores/store.ts";
import { DeadlineExceeded, within } from "./deadline.ts";

/** From one round of probes to the next. */
const PROBE_EVERY_MS = 5000;
/** A store that has not answered by then is down. Shorter than the round, so that probes do not pile up. */
const PROBE_TIMEOUT_MS = 3000;

export interface HealthProbeOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly entries: () => Iterable<StoreEntry>;
}

export class HealthProbe {
  readonly #options: HealthProbeOptions;
  readonly #closing = new AbortController();
  #timer: Timer | null = null;
  #round: Promise<unknown> = Promise.resolve();

  constructor(options: HealthProbeOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#closing.signal.aborted) return;
    this.#timer = this.#options.clock.after(PROBE_EVERY_MS, () => {
      this.#round = this.probeAll().then(() => this.start());
    });
  }

  /** One round. Does not reject. */
  async probeAll(): Promise<void> {
    await Promise.all([...this.#options.entries()].map((entry) => this.#probe(entry)));
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("closing"));
    this.#timer?.cancel();
    await this.#round;
  }

  async #probe(entry: StoreEntry): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#closing;
    try {
      const discard = (): void => undefined;
      await within({ clock, ms: PROBE_TIMEOUT_MS, signal, discard }, (inner) => entry.store.ping({ signal: inner }));
      if (this.#serves(entry)) this.#up(entry);
    } catch (error) {
      if (!signal.aborted && this.#serves(entry)) this.#down(entry, messageOf(error));
    }
  }

  /** A store that was swapped out while it was asked says nothing about its name any more. */
  #serves(entry: StoreEntry): boolean {
    return [...this.#options.entries()].includes(entry);
  }

  #up(entry: StoreEntry): void {
    const { clock, log, metrics } = this.#options;
    metrics.storeUp(entry.name, true);
    if (entry.health.up) return;
    entry.health = { up: true, sinceMs: clock.nowMs() };
    log.info(`store ${entry.name} (${entry.type}) answers again`);
  }

  #down(entry: StoreEntry, message: string): void {
    const { clock, log, metrics } = this.#options;
    metrics.storeUp(entry.name, false);
    const sinceMs = entry.health.up ? clock.nowMs() : entry.health.sinceMs;
    if (entry.health.up) log.error(`store ${entry.name} (${entry.type}) does not answer: ${message}`);
    entry.health = { up: false, sinceMs, message };
  }
}

/** Only a driver's own errors are known to be free of secrets. */
function messageOf(error: unknown): string {
  if (error instanceof DeadlineExceeded) return `no answer to a ping within ${PROBE_TIMEOUT_MS}ms`;
  return error instanceof StoreError ? error.message : "the ping failed in a way that the driver does not know";
}
