// What the core fields of a Component say that sets none of them.
import type { EntryCore } from "#sidecar/state/table.ts";

export const PLAIN_CORE: EntryCore = { actorStateStore: false, allowUnscopedDelete: false, cipher: null };
