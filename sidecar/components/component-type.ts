// What a Component's `type` and `version` mean: which building block it belongs to, and which driver serves it
// (dapr-state-api.md 5 and 13, dapr-state-stores.md 0.5). Opens nothing.
import type { Fault } from "#kit/fault.ts";
import { nearest } from "#kit/nearest.ts";
import { PackageMissing } from "../stores/packages.ts";
import { firstVersionOf, STORE_TYPE_NAMES, STORE_TYPES } from "../stores/registry.ts";
import type { StoreDriver } from "../stores/store.ts";

/** Gives the driver of a type in lower case, or null when there is none. */
export type LoadDriver = (type: string) => Promise<StoreDriver | null>;

export type ComponentBlock =
  | { readonly block: "state"; readonly type: string }
  | { readonly block: "secretstores"; readonly type: string }
  /** A building block of Dapr that Pannier does not have. */
  | { readonly block: "other"; readonly name: string }
  | { readonly block: "unknown"; readonly fault: Fault };

const OTHER_BLOCKS = [
  "binarystore",
  "bindings",
  "configuration",
  "conversation",
  "crypto",
  "lock",
  "middleware",
  "nameresolution",
  "pubsub",
  "workflow",
  "workflowbackend",
];

/** What stands before the first dot minds the case, what follows does not: `state.IN-Memory` loads, `State.redis` not. */
export function blockOf(type: string): ComponentBlock {
  const dot = type.indexOf(".");
  const block = dot < 0 ? type : type.slice(0, dot);
  const lower = dot < 0 ? type : block + type.slice(dot).toLowerCase();
  if (dot >= 0 && (block === "state" || block === "secretstores")) return { block, type: lower };
  if (dot >= 0 && OTHER_BLOCKS.includes(block)) return { block: "other", name: block };
  const near = nearest(type, STORE_TYPE_NAMES);
  const want = "a type that begins with the name of a building block, in lower case: state.…";
  const hint = near === null ? `the state stores are ${STORE_TYPES.join(", ")}` : `did you mean ${near}?`;
  return { block: "unknown", fault: { severity: "error", field: "spec.type", got: type, want, hint } };
}

/** Dapr takes these for the same version where a type has one only. */
const INITIAL_VERSIONS = ["", "v0", "v1"];

/**
 * The version that is meant by one as manifests write it, for comparing: in lower case, the empty one as the type's first,
 * v0 as v1. `type` in lower case, under any of its names.
 */
export function meantVersion(type: string, written: string): string {
  const version = written.toLowerCase();
  if (version === "") return firstVersionOf(type);
  return INITIAL_VERSIONS.includes(version) ? "v1" : version;
}

export type DriverChoice =
  | { readonly driver: StoreDriver; readonly version: string }
  /** There is none: Dapr's `[CREATE_COMPONENT_FAILURE]`. */
  | { readonly fault: Fault };

/** The driver for a state store's type (in lower case) and its version as the manifest writes it. */
export async function chooseDriver(type: string, written: string, loadDriver: LoadDriver): Promise<DriverChoice> {
  const driver = await loadDriver(type).catch((error: unknown) => missingPackage(type, error));
  if (driver !== null && "fault" in driver) return driver;
  const version = written.toLowerCase();
  const missing = `couldn't find state store ${type}/${version === "" ? "v1" : version}`;
  if (driver === null) {
    const near = nearest(type, STORE_TYPE_NAMES);
    const known = `the state stores are ${STORE_TYPES.join(", ")}`;
    const meant = near === null ? known : `did you mean ${near}? ${known}`;
    const hint = `${meant}; any other can be a pluggable component (docs/stores/pluggable.md)`;
    return { fault: { severity: "error", field: "spec.type", got: type, want: `a known type: ${missing}`, hint } };
  }
  if (version === "") return { driver: ofVersion(driver, driver.defaultVersion), version: driver.defaultVersion };
  if (driver.versions.includes(version)) return { driver: ofVersion(driver, version), version };
  const only = driver.versions.length === 1 ? driver.versions[0] : undefined;
  if (only !== undefined && INITIAL_VERSIONS.includes(only) && INITIAL_VERSIONS.includes(version))
    return { driver, version: only };
  const want = `${driver.versions.join(" or ")}: ${missing}`;
  return { fault: { severity: "error", field: "spec.version", got: written, want, hint: null } };
}

/** The same as a fault where the client library of a type is not installed. Throws what else went wrong. */
function missingPackage(type: string, error: unknown): { readonly fault: Fault } {
  if (!(error instanceof PackageMissing)) throw error;
  const want = `a type whose client is installed: ${error.message}`;
  return { fault: { severity: "error", field: "spec.type", got: type, want, hint: null } };
}

function ofVersion(driver: StoreDriver, version: string): StoreDriver {
  return driver.byVersion?.[version] ?? driver;
}
