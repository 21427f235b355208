// Stores opened as the sidecar opens them: through the driver's own decoder, from the fields of a Component.
import { type Clock, systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import type { PreparedStore, Store, StoreDriver } from "#sidecar/stores/store.ts";

/** A Component's metadata, none of it from a secret store. */
export type Fields = Readonly<Record<string, string>>;

/** What a test may put in place of the usual. */
export interface Opening {
  /** The usual one aborts after 30 s. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly log?: Log;
}

const OPEN_MS_MAX = 30_000;

/** The driver of a version that has to be there. */
export function ofVersion(driver: StoreDriver, version: string): StoreDriver {
  const chosen = driver.byVersion?.[version];
  if (chosen === undefined) throw new Error(`${driver.type} has no version ${version}`);
  return chosen;
}

export function decode(driver: StoreDriver, fields: Fields): PreparedStore {
  const properties = Object.entries(fields).map(([name, value]) => ({ name, value, secret: false }));
  return driver.decode(properties, []);
}

export function open(prepared: PreparedStore, opening: Opening = {}): Promise<Store> {
  const { signal = AbortSignal.timeout(OPEN_MS_MAX), clock = systemClock, log = listeningLog() } = opening;
  return prepared.open({ component: "test", appId: "app", clock, random: systemRandom, log, signal });
}

/** A log that keeps the warnings, each with its fields as JSON behind it, and nothing else. */
export function listeningLog(warnings: string[] = []): Log & { readonly warnings: string[] } {
  const ignore = (): void => undefined;
  const log = {
    warnings,
    debug: ignore,
    info: ignore,
    warn: (message: string, fields: unknown = {}) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
    error: ignore,
    fatal: ignore,
    scoped: () => log,
  };
  return log;
}
