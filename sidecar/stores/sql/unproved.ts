// The warning of a driver that has never met a real server of its product. Knows none of them.
import type { Log } from "#kit/log.ts";

/** The settings that were opened before: a Component that cannot be opened is tried again with the same. */
const told = new WeakSet<object>();

export interface Unproved {
  /** As manifests name it, without "state.". */
  readonly type: string;
  /** What was done in place of it. */
  readonly means: string;
}

/** Warns when `settings`, the very object, are opened for the first time. */
export function warnOfUnproved({ type, means }: Unproved, settings: object, log: Log): void {
  if (told.has(settings)) return;
  told.add(settings);
  log.warn(`state.${type} was never run against a real server`, { means });
}
