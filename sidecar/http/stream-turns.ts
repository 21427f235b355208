// Bounds what the requests of HTTP/2 hold in memory: one connection carries many of them at a time, and answers stay
// until the client takes them. Beyond the bounds a request waits for its turn, in the order of the session's requests,
// before its handler runs. How many may wait is the limit of a session's streams. Knows no stream.

/** Requests of one session without an answer at a time: nobody knows yet how much they will hold. */
const RUNNING_MAX = 16;
/** Bodies announced and answers not taken, in bytes: of one session, of all. Where there is more, no request begins. */
const SESSION_BYTES_MAX = 16 * 1024 * 1024;
const ALL_BYTES_MAX = 128 * 1024 * 1024;

/** One request: waits, then runs, then has its answer, then is over. */
export interface StreamTurn {
  /** The answer begins; it has so many bytes. */
  answer(bytes: number): void;
  /** The answer is taken, or nobody waits for it. May be called at any time, and again. */
  end(): void;
}

/** What all sessions of a server hold together. */
export class StreamTurns {
  /** Those with requests that wait. */
  readonly #sessions = new Set<SessionTurns>();
  #bytes = 0;

  session(): SessionTurns {
    return new SessionTurns({
      isFull: () => this.#bytes >= ALL_BYTES_MAX,
      hold: (bytes) => this.#hold(bytes),
      follow: (session, isWaiting) => void (isWaiting ? this.#sessions.add(session) : this.#sessions.delete(session)),
    });
  }

  #hold(bytes: number): void {
    const wasFull = this.#bytes >= ALL_BYTES_MAX;
    this.#bytes += bytes;
    if (!wasFull || this.#bytes >= ALL_BYTES_MAX) return;
    for (const session of [...this.#sessions]) session.proceed();
  }
}

interface Shared {
  isFull(): boolean;
  /** More bytes, or less. */
  hold(bytes: number): void;
  /** A session with requests that wait is told when there is room again. */
  follow(session: SessionTurns, isWaiting: boolean): void;
}

export class SessionTurns {
  readonly #all: Shared;
  /** Those that wait, in their order. */
  readonly #waiting = new Set<() => void>();
  #running = 0;
  #bytes = 0;

  constructor(all: Shared) {
    this.#all = all;
  }

  /** Runs `task`, now or later. `bytes`: what the request says that its body will have. */
  take(bytes: number, task: (turn: StreamTurn) => void): StreamTurn {
    let state: "waiting" | "running" | "answered" | "over" = "waiting";
    let held = 0;
    const hold = (next: number): void => {
      const more = next - held;
      held = next;
      this.#bytes += more;
      this.#all.hold(more);
    };
    const begin = (): void => {
      state = "running";
      this.#running++;
      // What is no number must not become part of the sums.
      hold(Number.isNaN(bytes) ? 0 : Math.min(bytes, SESSION_BYTES_MAX));
      task(turn);
    };
    const become = (next: "answered" | "over", answerBytes: number): void => {
      if (state === "over" || state === next) return;
      if (state === "waiting") this.#waiting.delete(begin);
      if (state === "running") this.#running--;
      state = next;
      hold(answerBytes);
      this.proceed();
    };
    const turn = { answer: (answerBytes: number) => become("answered", answerBytes), end: () => become("over", 0) };
    this.#waiting.add(begin);
    this.proceed();
    return turn;
  }

  /** Begins what there is room for. */
  proceed(): void {
    for (const begin of this.#waiting) {
      if (!this.#hasRoom()) break;
      this.#waiting.delete(begin);
      begin();
    }
    this.#all.follow(this, this.#waiting.size > 0);
  }

  /** A session that holds nothing always has: others that take nothing must not stop it. */
  #hasRoom(): boolean {
    if (this.#running === 0 && this.#bytes === 0) return true;
    return this.#running < RUNNING_MAX && this.#bytes < SESSION_BYTES_MAX && !this.#all.isFull();
  }
}
