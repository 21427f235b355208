// One state store Component with its properties resolved: the core's fields, the driver's, and what tells two
// configurations apart. The same for the sidecar and for `pannier check`. Opens nothing.
import { decodeFields, type Property } from "#crds/fields.ts";
import { type Fault, hasErrors } from "#kit/fault.ts";
import type { PreparedStore, StoreDriver } from "../stores/store.ts";
import { CORE_FIELD_NAMES, type CoreSettings, coreFields, refusedFields } from "./core-fields.ts";

export interface DecodedStore {
  /** Null when a fault is an error. */
  readonly ready: {
    readonly core: CoreSettings;
    readonly prepared: PreparedStore;
    readonly fingerprint: string;
  } | null;
  /** Of the core's fields first, then of the driver's; never with a secret. */
  readonly faults: readonly Fault[];
}

const CORE_NAMES = new Set(CORE_FIELD_NAMES.map((name) => name.toLowerCase()));

export function decodeStore(driver: StoreDriver, properties: readonly Property[]): DecodedStore {
  const ofCore = properties.filter((property) => CORE_NAMES.has(property.name.toLowerCase()));
  const decoded = decodeFields(coreFields, ofCore, { others: [], page: "docs/components.md" });
  const prepared = driver.decode(properties, CORE_FIELD_NAMES);
  const faults = [...decoded.faults, ...refusedFields(ofCore), ...prepared.faults];
  if (decoded.settings === null || prepared.fingerprint === null || hasErrors(faults)) return { ready: null, faults };
  const core = { ...decoded.settings, keyPrefix: decoded.settings.keyPrefix.toLowerCase() };
  return { ready: { core, prepared, fingerprint: prepared.fingerprint }, faults };
}
