// So many at once and no more; the others wait in the order in which they came. Knows nothing of what they do.

export class Slots {
  readonly #most: number;
  readonly #waitingMax: number;
  #taken = 0;
  /** In order; each is called with the slot that became free. */
  readonly #waiting = new Set<() => void>();

  constructor({ most, waitingMax }: { readonly most: number; readonly waitingMax: number }) {
    this.#most = most;
    this.#waitingMax = waitingMax;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Gives what hands the slot back (harmless when called again). Rejects with the reason of `signal` when that aborts
   * first, and with a RangeError when too many wait already.
   */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < this.#most) this.#taken++;
    else await this.#turn(signal);
    let held = true;
    return () => {
      if (held) this.#handOn();
      held = false;
    };
  }

  #turn(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= this.#waitingMax) {
      return Promise.reject(new RangeError(`${this.#waiting.size} wait already, which is the most that may`));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(enter);
        reject(signal.reason);
      };
      const enter = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      this.#waiting.add(enter);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  /** The slot goes to the first who waits, so that nobody who comes in between overtakes. */
  #handOn(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
