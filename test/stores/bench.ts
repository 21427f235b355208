// What a describe of a driver's tests has: things that are ended after each test, and a server that lasts for all of them.

type Keep = <T>(thing: T, stop: () => unknown) => T;

export interface Keeping {
  /** Has `stop` called after the test, the newest first, and gives `thing` back. */
  readonly keep: Keep;
}

export interface OneServer<S> extends Keeping {
  /** The server of the describe. */
  server(): S;
}

/** A start of the slowest server: a Java machine on a busy computer. */
const START_MS_MAX = 90_000;

/** For the describe that calls this. */
export function keeping(): Keeping {
  const { keep, end } = keeper();
  afterEach(end);
  return { keep };
}

/**
 * What the tests of the describe that calls this share: `begin` runs before them, and what it keeps is ended behind them,
 * also when it fails half-way.
 */
export function forAllTests<T extends object>(begin: (keep: Keep) => Promise<T>): () => T {
  const { keep, end } = keeper();
  let begun: T | null = null;
  before(async function () {
    this.timeout(START_MS_MAX);
    begun = await begin(keep);
  });
  after(end);
  return () => {
    if (begun === null) throw new Error("it was not started");
    return begun;
  };
}

/** One server for the describe that calls this. */
export function oneServer<S extends { stop(): Promise<void> }>(start: () => Promise<S>): OneServer<S> {
  const server = forAllTests(async (keep) => {
    const started = await start();
    return keep(started, () => started.stop());
  });
  return { server, ...keeping() };
}

/** `end` runs every stop, whatever becomes of the others, and rejects with what the first of them failed with. */
export function keeper(): Keeping & { end(): Promise<void> } {
  const stops: (() => unknown)[] = [];
  return {
    keep(thing, stop) {
      stops.push(stop);
      return thing;
    },
    async end() {
      const failures: unknown[] = [];
      for (const stop of stops.splice(0).reverse()) {
        try {
          await stop();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
