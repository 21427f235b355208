// The servers that `test/servers/fetch.sh` brings into a cache: where each lies, or why there is none. Starts nothing.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isRequired } from "./required.ts";

const SCRIPT = fileURLToPath(new URL("fetch.sh", import.meta.url));

/** A name that `test/servers/fetch.sh` knows. */
export type FetchedServer =
  | "azurite"
  | "cassandra"
  | "cosmosdb"
  | "dapr-drivers"
  | "datastore"
  | "dynamodb"
  | "mongodb"
  | "redis-stack"
  | "spanner";

/** The folder of a server in the cache, there or not: the script knows its version. */
export function fetchedFolder(name: FetchedServer): string {
  const { status, stdout, stderr, error } = spawnSync(SCRIPT, ["--folder", name], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${SCRIPT} --folder ${name}: ${error?.message ?? stderr}`);
  return stdout.trim();
}

/** Why a server is not in the cache and what to do about it; null when it is there. */
export function whyNotFetched(name: FetchedServer): string | null {
  if (existsSync(fetchedFolder(name))) return null;
  return `${name} is not on this machine: run test/servers/fetch.sh ${name}`;
}

/**
 * The same as a reason to skip. With the name in PANNIER_TEST_REQUIRE it is none: null, and the start of the server fails,
 * so that CI cannot skip in silence.
 */
export function fetchedMissing(name: FetchedServer): string | null {
  return isRequired(name) ? null : whyNotFetched(name);
}

/** Why there is no Java to run it with; null when there is one. */
export function javaMissing(): string | null {
  const { error } = spawnSync("java", ["-version"], { stdio: "ignore" });
  return error === undefined ? null : "there is no java on PATH (Debian: apt-get install default-jre-headless)";
}
