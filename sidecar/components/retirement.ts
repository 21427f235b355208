// Stores that were taken out of the table: each is closed when its last call has ended, or when the drain time is over.
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { StoreEntry } from "../state/table.ts";

export class Retirement {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #drainMs: number;
  // Bounded by how many changes fit into one drain time: the source tells no two within its settle time.
  readonly #leaving = new Map<
    StoreEntry,
    { readonly done: Promise<void>; readonly hurry: (drainMs: number) => void }
  >();

  constructor(options: { readonly clock: Clock; readonly log: Log; readonly drainMs: number }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#drainMs = options.drainMs;
  }

  /** Begins to drain an entry that no new call can find. */
  retire(entry: StoreEntry): void {
    let end = (): void => undefined;
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    let timer = this.#clock.after(this.#drainMs, end);
    const hurry = (drainMs: number): void => {
      timer.cancel();
      timer = this.#clock.after(drainMs, end);
    };
    const done = Promise.race([entry.idle(), over]).then(async () => {
      timer.cancel();
      await this.#close(entry);
      this.#leaving.delete(entry);
    });
    this.#leaving.set(entry, { done, hurry });
  }

  /** Resolves when all are closed, `drainMs` from now at the latest (and what their close takes). */
  async finish(drainMs: number): Promise<void> {
    for (const leaving of this.#leaving.values()) leaving.hurry(drainMs);
    await Promise.all([...this.#leaving.values()].map((leaving) => leaving.done));
  }

  async #close(entry: StoreEntry): Promise<void> {
    if (entry.calls > 0)
      this.#log.warn(`drain time is over: store ${entry.name} is closed while calls use it`, { calls: entry.calls });
    await entry.store.close().catch((error: unknown) => {
      this.#log.warn(`store ${entry.name} could not be closed cleanly`, {
        error: error instanceof Error ? error.name : "",
      });
    });
  }
}
