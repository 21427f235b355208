// Opens a store for a Component within its initTimeout, and proves that it answers. Knows no table and no reload.
import type { Clock } from "#kit/clock.ts";
import { formatMs } from "#kit/duration.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { EntryCore } from "../state/table.ts";
import { lackingPackages } from "../stores/packages.ts";
import { type PreparedStore, type Store, StoreError } from "../stores/store.ts";
import { DeadlineExceeded, within } from "./deadline.ts";
import { withoutSecrets } from "./redaction.ts";

/** A state store as its manifest wants it, decoded without faults. */
export interface WantedStore {
  readonly name: string;
  /** In lower case. */
  readonly type: string;
  readonly version: string;
  readonly keyPrefix: string;
  readonly core: EntryCore;
  readonly ignoreErrors: boolean;
  readonly initTimeoutMs: number;
  readonly prepared: PreparedStore;
  /** Equal exactly when an open store needs no reopening. Holds secrets. */
  readonly fingerprint: string;
  /** Equal exactly when `keyPrefix` and `core` mean the same: rules over a store, which may change while it is open. */
  readonly coreFingerprint: string;
  /** The texts that no message may hold. */
  readonly secrets: readonly string[];
  /** What to say when it is opened, with file and line. */
  readonly warnings: readonly string[];
}

export interface OpeningContext {
  readonly appId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Rejects with an error for {@link reasonOf}; nothing is left open then. */
export function openStore(wanted: WantedStore, context: OpeningContext, signal: AbortSignal): Promise<Store> {
  const { name: component, initTimeoutMs: ms } = wanted;
  const { appId, clock, random } = context;
  const log = context.log.scoped(`dapr.${wanted.type}`);
  const discard = (late: Store): void => {
    late
      .close()
      .catch((error: unknown) =>
        log.warn("late store could not be closed", { component, error: reasonOf(wanted, error) }),
      );
  };
  return within({ clock, ms, signal, discard }, async (inner) => {
    // Before anything is asked of a server; not every client library says by itself which package it lacks.
    const [lacking] = await lackingPackages(wanted.prepared.packages ?? []);
    if (lacking !== undefined) throw lacking.error;
    const store = await wanted.prepared.open({ component, appId, clock, random, log, signal: inner });
    try {
      await store.ping({ signal: inner });
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  });
}

/** Dapr's sentence ends before this. */
const NO_ANSWER =
  "check that its server answers there, with TLS or without it as the server wants, or raise initTimeout";

/** Why it did not open, as text without any of the Component's secrets. */
export function reasonOf(wanted: WantedStore, error: unknown): string {
  if (error instanceof DeadlineExceeded)
    return `init timeout for component ${wanted.name} exceeded after ${formatMs(wanted.initTimeoutMs)}; ${NO_ANSWER}`;
  const text = error instanceof StoreError ? error.message : `unexpected error: ${String(error)}`;
  // Drivers keep secrets out of their errors; this is for the client library that does not.
  return withoutSecrets(text, wanted.secrets);
}
