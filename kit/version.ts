// What this build calls itself.
import manifest from "../package.json" with { type: "json" };

/** Pannier's own version. */
export const VERSION: string = manifest.version;

/** The release of Dapr whose API, layouts and flags this build follows. */
export const DAPR_VERSION = "1.18.3";

/** For the places where a client of Dapr looks for a version: Dapr's, with ours as build metadata (semver 2.0, 10). */
export const RUNTIME_VERSION: string = `${DAPR_VERSION}+pannier.${VERSION}`;
