// Loops that go on until they are stopped: the callers of a sidecar whose store a test hurts meanwhile. Knows no request.
import { until } from "#test/wire/until.ts";

/** What a caller waits before it tries again what was refused. */
const AFTER_REFUSAL_MS = 5;
/** A store that is back has to be found by then. */
const GOES_ON_WITHIN_MS = 60_000;

export class Load {
  #isStopped = false;
  #failure: { readonly error: unknown } | null = null;
  readonly #loops: Promise<unknown>;

  /**
   * Runs `step` again and again in so many loops at once; it is told which loop it is in, and gives false for what was
   * refused. What it rejects with ends that loop, and is what `until` and `stop` reject with.
   */
  constructor(loops: number, step: (loop: number) => Promise<boolean>) {
    this.#loops = Promise.all(Array.from({ length: loops }, (_, loop) => this.#run(() => step(loop))));
  }

  /** Resolves once it holds; rejects with `what` when that takes too long. */
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const check = (): boolean | Promise<boolean> => {
      this.#mustGoOn();
      return holds();
    };
    return until(what, check, GOES_ON_WITHIN_MS);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loops;
    this.#mustGoOn();
  }

  async #run(step: () => Promise<boolean>): Promise<void> {
    try {
      while (!this.#isStopped)
        if (!(await step())) await new Promise((resolve) => setTimeout(resolve, AFTER_REFUSAL_MS));
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #mustGoOn(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
