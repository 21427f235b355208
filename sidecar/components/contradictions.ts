// What the core's fields ask of a store that it cannot do: told when the manifest is judged where the settings alone show
// it, else when the store is open. Opens nothing.
import { describeFault, type Fault } from "#kit/fault.ts";
import type { Features, Foreseen } from "../stores/store.ts";
import type { CoreSettings } from "./core-fields.ts";

/** Between the core's settings and what is sure of the store before it is opened. */
export function contradictions(core: CoreSettings, { lacks, bareKeysBy }: Foreseen): readonly Fault[] {
  const faults: Fault[] = [];
  if (core.actorStateStore) faults.push(...actorFaults((feature) => lacks.includes(feature)));
  // With a prefix no key fits, of the app's or of actors: nothing could be written, nor be there.
  if (bareKeysBy !== null && core.keyPrefix.toLowerCase() !== "none") {
    const hint = "it takes keys of one form only, and with a prefix before it no key has that form";
    faults.push({ severity: "error", field: bareKeysBy, got: null, want: "keyPrefix: none beside it", hint });
  }
  return faults;
}

/** What to say of an open store that is to keep the state of actors and cannot, where it was not foreseen; null for nothing. */
export function actorNotice(features: Features, foreseen: Foreseen | undefined): string | null {
  const known = foreseen?.lacks ?? [];
  const [fault] = actorFaults((feature) => !features[feature] && !known.includes(feature));
  return fault === undefined ? null : describeFault(fault);
}

/** A warning: the store is of use for all other state, and Dapr opens it too. */
function actorFaults(isLacking: (feature: "etag" | "transactions") => boolean): readonly Fault[] {
  const missing = [...(isLacking("etag") ? ["ETags"] : []), ...(isLacking("transactions") ? ["transactions"] : [])];
  if (missing.length === 0) return [];
  const hint = `this one has no ${missing.join(" and no ")}, and every request for the state of an actor fails; see docs/actors.md`;
  const want = "a store with ETags and transactions";
  return [{ severity: "warning", field: "actorStateStore", got: null, want, hint }];
}
