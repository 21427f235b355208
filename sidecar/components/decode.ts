// One state store Component with its properties resolved: the core's fields, the driver's, and what tells two
// configurations apart. The same for the sidecar and for `pannier check`. Opens nothing.
import { decodeFields, type Property } from "#crds/fields.ts";
import { type Fault, hasErrors } from "#kit/fault.ts";
import type { Encryption } from "../state/encryption.ts";
import type { NeededPackage } from "../stores/packages.ts";
import type { PreparedStore, StoreDriver } from "../stores/store.ts";
import { contradictions } from "./contradictions.ts";
import { CORE_FIELD_NAMES, type CoreSettings, coreFields, refusedFields } from "./core-fields.ts";
import { encryptionFaults, encryptionOf, mistypedKeys } from "./encryption-keys.ts";

export interface ReadyStore {
  readonly core: CoreSettings;
  /** Null without keys. */
  readonly encryption: Encryption | null;
  readonly prepared: PreparedStore;
  /** The driver's. */
  readonly fingerprint: string;
}

export interface DecodedStore {
  /** Null when a fault is an error. */
  readonly ready: ReadyStore | null;
  /** Of the core's fields first, then of the driver's, then between them; never with a secret. */
  readonly faults: readonly Fault[];
  /** Optional packages that the driver's settings ask for, as far as they could be read. */
  readonly packages: readonly NeededPackage[];
}

const CORE_NAMES = new Set(CORE_FIELD_NAMES.map((name) => name.toLowerCase()));

export function decodeStore(driver: StoreDriver, properties: readonly Property[]): DecodedStore {
  const ofCore = properties.filter((property) => CORE_NAMES.has(property.name.toLowerCase()));
  const decoded = decodeFields(coreFields, ofCore, { others: [], page: "docs/components.md" });
  const prepared = driver.decode(properties, CORE_FIELD_NAMES);
  const ofKeys = [...encryptionFaults(ofCore), ...mistypedKeys(properties, driver.fields)];
  const told = new Set(ofKeys.map(({ field }) => field));
  // A name that is mistyped here is unknown to the driver too, which only warns.
  const ofDriver = prepared.faults.filter(({ field }) => !told.has(field));
  const { settings } = decoded;
  const between =
    settings === null || prepared.foreseen === undefined ? [] : contradictions(settings, prepared.foreseen);
  const faults = [...decoded.faults, ...refusedFields(ofCore), ...ofKeys, ...ofDriver, ...between];
  const packages = prepared.packages ?? [];
  if (settings === null || prepared.fingerprint === null || hasErrors(faults)) return { ready: null, faults, packages };
  const core = { ...settings, keyPrefix: settings.keyPrefix.toLowerCase() };
  const encryption = encryptionOf(core, ofCore);
  return { ready: { core, encryption, prepared, fingerprint: prepared.fingerprint }, faults, packages };
}
