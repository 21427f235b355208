// Client libraries that the published package does not bring: an installation stays small, and who uses such a store
// installs its client. What a missing one is answered with. Knows no driver; the image and a clone have all of them.
import { StoreError } from "./store.ts";

/** The versions that the drivers were tested with. package.json names the same (a test compares). */
export const OPTIONAL_PACKAGES: Readonly<Record<string, string>> = {
  "@aws-sdk/client-dynamodb": "3.1162.0",
  "@aws-sdk/credential-providers": "3.1173.0",
  "@aws-sdk/rds-signer": "3.1173.0",
  "@azure/identity": "4.14.1",
  "@nats-io/transport-node": "3.4.0",
  "cassandra-driver": "4.10.0",
  "google-auth-library": "11.3.4",
  mongodb: "7.8.0",
  tedious: "20.3.9",
};

/** Those that a driver loads for some settings only; each of the others it loads with its own module. */
export type SettingsPackage =
  | "@aws-sdk/credential-providers"
  | "@aws-sdk/rds-signer"
  | "@azure/identity"
  | "google-auth-library";

/** A package that a Component's settings ask for, and the field that does. */
export interface NeededPackage {
  readonly name: SettingsPackage;
  readonly field: string;
}

/** Asked as drivers ask: whether a package is beside Pannier or in the bundle nothing else can tell. */
const LOADERS: Readonly<Record<SettingsPackage, () => Promise<unknown>>> = {
  "@aws-sdk/credential-providers": () => import("@aws-sdk/credential-providers"),
  "@aws-sdk/rds-signer": () => import("@aws-sdk/rds-signer"),
  "@azure/identity": () => import("@azure/identity"),
  "google-auth-library": () => import("google-auth-library"),
};

/** Thrown by {@link loading} in place of Node's own error. */
export class PackageMissing extends StoreError {
  /** The package's name. */
  readonly missing: string;
  /** What installs it. */
  readonly command: string;

  constructor(missing: string, cause: unknown) {
    const command = `npm install ${missing}@${OPTIONAL_PACKAGES[missing]}`;
    super("refused", `the package ${missing} is not installed: run \`${command}\` where Pannier is installed`, {
      cause,
    });
    this.missing = missing;
    this.command = command;
  }
}

/**
 * What `load` resolves with, an `import()` of an optional package or of a module that imports one. Rejects with
 * {@link PackageMissing} where that package is not there, and with `load`'s own error otherwise.
 */
export async function loading<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const missing = missingPackage(error);
    throw missing === null ? error : new PackageMissing(missing, error);
  }
}

/** A needed package that is not there. */
export interface LackingPackage extends NeededPackage {
  readonly error: PackageMissing;
}

/** Those of the packages that are not installed; the others are loaded. Rejects with what else goes wrong with one. */
export async function lackingPackages(needed: readonly NeededPackage[]): Promise<readonly LackingPackage[]> {
  const found = await Promise.all(needed.map(lackOf));
  return found.filter((each) => each !== null);
}

async function lackOf(needed: NeededPackage): Promise<LackingPackage | null> {
  try {
    await loading(LOADERS[needed.name]);
    return null;
  } catch (error) {
    if (error instanceof PackageMissing) return { ...needed, error };
    throw error;
  }
}

/** Node's sentence of ERR_MODULE_NOT_FOUND for a package; for a file it says "module" in place of "package". */
const NOT_FOUND = /^Cannot find package '([^']+)'/;

function missingPackage(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ERR_MODULE_NOT_FOUND") return null;
  const [, name] = NOT_FOUND.exec(error.message) ?? [];
  // A package that another one lacks is a broken installation, not a choice.
  return name !== undefined && name in OPTIONAL_PACKAGES ? name : null;
}
