// Where the sidecar's log goes at `run`: under a prefix, and at first into a list, so that the banner is what one sees.
// The list comes out whole when the start fails, and without the lines that the banner makes needless when it does not.

/** Lines of a start that are kept back; beyond it they are written as they come. */
const HELD_LINES_MAX = 1_000;
const QUIET = /^time=\S+ level=(?:debug|info) /;

export class StartLog {
  readonly #write: (line: string) => void;
  #held: string[] | null;

  /** `hold` false: every line is written as it comes. */
  constructor(write: (line: string) => void, hold: boolean) {
    this.#write = write;
    this.#held = hold ? [] : null;
  }

  /** Takes one line with its line end. */
  readonly line = (line: string): void => {
    if (this.#held === null || this.#held.length >= HELD_LINES_MAX) this.#write(line);
    else this.#held.push(line);
  };

  /** The start went well: warnings and worse come out; from now on every line is written as it comes. */
  started(): void {
    this.#release((line) => !QUIET.test(line));
  }

  /** It did not: everything comes out. */
  failed(): void {
    this.#release(() => true);
  }

  #release(shown: (line: string) => boolean): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const line of held) if (shown(line)) this.#write(line);
  }
}
