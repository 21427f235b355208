// From a planned state store to what a slot can open: driver chosen, secrets resolved, fields decoded. Or the reasons
// why not, each with its file and line. Opens no store.
import { type FieldTable, fieldFinder } from "#crds/fields.ts";
import type { PlacedFault } from "#crds/manifest.ts";
import { quotingFaults } from "#crds/quoting.ts";
import { describeFault } from "#kit/fault.ts";
import { type ResolveContext, resolveProperties } from "../secrets/resolve.ts";
import { createCipher } from "../state/encryption.ts";
import { resolveKeyPrefix } from "../state/keys.ts";
import type { StoreDriver } from "../stores/store.ts";
import { chooseDriver, type DriverChoice, type LoadDriver } from "./component-type.ts";
import { coreFields } from "./core-fields.ts";
import { decodeStore, type ReadyStore } from "./decode.ts";
import { describePlaced, placeByName } from "./documents.ts";
import { encryptionNotices } from "./encryption-keys.ts";
import { initFailure, title, versionOf } from "./naming.ts";
import type { WantedStore } from "./opening.ts";
import type { PlannedComponent, RefusedComponent } from "./plan.ts";
import { faultWithoutSecrets } from "./redaction.ts";

export interface PrepareContext extends ResolveContext {
  readonly loadDriver: LoadDriver;
}

export async function prepareStore(
  planned: PlannedComponent,
  context: PrepareContext,
): Promise<WantedStore | RefusedComponent> {
  const { component, type, located } = planned;
  const chosen = await choose(type, component.version, context.loadDriver);
  if ("why" in chosen) return refuse(planned, "creation", chosen.why);
  const resolved = await resolveProperties(component, context);
  const decoded = decodeStore(chosen.driver, resolved.properties);
  const { isSecret, mayShow } = fieldRules([coreFields, chosen.driver.fields]);
  const secrets = resolved.properties.filter((each) => each.secret || isSecret(each.name)).map(({ value }) => value);
  // What could not be looked up is missing, and not because the manifest forgets it.
  const unresolved = new Set(resolved.faults.map(({ field }) => field.toLowerCase()));
  const others = decoded.faults.filter(({ field }) => !unresolved.has(field.toLowerCase()));
  const faults = [...resolved.faults, ...others].map((fault) =>
    placeByName(faultWithoutSecrets(fault, secrets), component, located.document),
  );
  const told = (severity: "error" | "warning", placed: readonly PlacedFault[]): string[] =>
    placed.filter(({ fault }) => fault.severity === severity).map((each) => describePlaced(located.file, each));
  const errors = told("error", faults);
  if (decoded.ready === null || errors.length > 0) return refuse(planned, "init", errors.join("; "));
  const { core, encryption, prepared, fingerprint } = decoded.ready;
  const { name, ignoreErrors, initTimeoutMs } = component;
  const notices = encryption === null ? [] : encryptionNotices(name, encryption, core.actorStateStore);
  return {
    name,
    type,
    version: chosen.version,
    ...rulesOf(name, decoded.ready, context),
    ignoreErrors,
    initTimeoutMs,
    prepared,
    fingerprint: JSON.stringify([type, chosen.version, fingerprint]),
    secrets,
    warnings: [...told("warning", [...faults, ...quotingFaults(located.document, mayShow)]), ...notices],
  };
}

function rulesOf(
  storeName: string,
  { core, encryption }: Pick<ReadyStore, "core" | "encryption">,
  { templates: { appId, namespace } }: PrepareContext,
): Pick<WantedStore, "keyPrefix" | "core" | "coreFingerprint"> {
  const { actorStateStore, allowUnscopedDelete } = core;
  const keyPrefix = resolveKeyPrefix({ strategy: core.keyPrefix, storeName, appId, namespace });
  const cipher = encryption === null ? null : createCipher(storeName, encryption);
  // The keys are among the core's fields; the names of their secrets are not.
  const keyNames = [encryption?.primary.name, encryption?.secondary?.name];
  const coreFingerprint = JSON.stringify([keyPrefix, core, keyNames]);
  return { keyPrefix, core: { actorStateStore, allowUnscopedDelete, cipher }, coreFingerprint };
}

async function choose(
  type: string,
  version: string,
  loadDriver: LoadDriver,
): Promise<Extract<DriverChoice, { driver: StoreDriver }> | { readonly why: string }> {
  try {
    const chosen = await chooseDriver(type, version, loadDriver);
    return "fault" in chosen ? { why: describeFault(chosen.fault) } : chosen;
  } catch (error) {
    // A driver's module that does not load, say for a missing client library, must not take the other stores along.
    return { why: `the driver of ${type} cannot be loaded: ${error instanceof Error ? error.message : String(error)}` };
  }
}

export interface FieldRules {
  /** A field that a table calls secret. */
  readonly isSecret: (name: string) => boolean;
  /** A field that a table knows and does not call secret; an unknown name may be a password's, mistyped. */
  readonly mayShow: (name: string) => boolean;
}

/** What may be shown of fields, by their names or aliases in any case. Without tables: nothing. */
export function fieldRules(tables: readonly FieldTable<object>[]): FieldRules {
  const find = fieldFinder(tables);
  return { isSecret: (name) => find(name)?.secret === true, mayShow: (name) => find(name)?.secret === false };
}

function refuse({ component, type }: PlannedComponent, failure: "creation" | "init", why: string): RefusedComponent {
  const titled = { name: component.name, type, version: component.version };
  const reason = initFailure(failure === "creation" ? "CREATE" : "INIT", title(titled), why);
  return {
    name: component.name,
    type,
    version: versionOf(titled),
    reason,
    failure,
    endsStart: !component.ignoreErrors,
  };
}
