// `.pannier`, the folder that `pannier run` keeps beside the project: the app id, the first manifest and
// the Configuration, if somebody has put one there.
// Nothing that is there is ever written over.
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Random } from "#kit/random.ts";
import { listManifests, readManifestFile } from "#sidecar/components/manifest-files.ts";
import { wrongAppId } from "#sidecar/flags.ts";
import { RunFailure, reason, systemCode } from "./failure.ts";

export const FOLDER = ".pannier";
export const APP_ID_FILE: string = join(FOLDER, "app-id");
export const RESOURCES_FOLDER: string = join(FOLDER, "components");
export const CONFIGURATION_FILE: string = join(FOLDER, "config.yaml");
export const MANIFEST_FILE: string = join(RESOURCES_FOLDER, "statestore.yaml");

const MANIFEST = `# Written by "pannier run" because there was no manifest. It is yours now: edit it, and the running store changes.
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: statestore
spec:
  type: state.sqlite
  version: v1
  metadata:
    # Relative to the folder in which "pannier run" is started.
    - name: connectionString
      value: ".pannier/state.db"
    # The state of actors is kept here too.
    - name: actorStateStore
      value: "true"

# To keep the state in Redis, put this in place of "spec" above and save. The data in the file is not moved.
#
# spec:
#   type: state.redis
#   version: v1
#   metadata:
#     - name: redisHost
#       value: "localhost:6379"
#     - name: redisPassword
#       value: ""
`;

export interface Kept {
  readonly value: string;
  /** This start wrote it. */
  readonly made: boolean;
}

/**
 * The app id of this folder: read from `.pannier/app-id`, or made up and kept there, so that a restart finds its data.
 * Throws RunFailure when it can neither be read nor kept.
 */
export async function keptAppId(cwd: string, random: Random): Promise<Kept> {
  const path = join(cwd, APP_ID_FILE);
  const made = `${makeUpAppId(random)}\n`;
  const wrote = await writeNew(path, made, "pass --app-id to do without it");
  const text = wrote ? made : await readKept(path);
  const value = text.trim();
  const wrong = wrongAppId(value);
  if (wrong !== null) throw new RunFailure(`${APP_ID_FILE} holds no app id (${wrong}); correct it or remove it`);
  return { value, made: wrote };
}

async function readKept(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new RunFailure(`cannot read ${path}: ${reason(error)}; pass --app-id to do without it`);
  }
}

/** The folder of manifests beside the project; a first manifest is written when it holds none. */
export async function keptResources(cwd: string): Promise<Kept> {
  if (await holdsManifests(join(cwd, RESOURCES_FOLDER))) return { value: RESOURCES_FOLDER, made: false };
  const made = await writeNew(join(cwd, MANIFEST_FILE), MANIFEST, "pass --resources-path to do without it");
  return { value: RESOURCES_FOLDER, made };
}

/** The Configuration beside the project, when there is one: none is written. */
export async function keptConfiguration(cwd: string): Promise<readonly string[]> {
  try {
    await access(join(cwd, CONFIGURATION_FILE));
    return [CONFIGURATION_FILE];
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw new RunFailure(`cannot read ${join(cwd, CONFIGURATION_FILE)}: ${reason(error)}`);
  }
}

async function holdsManifests(folder: string): Promise<boolean> {
  try {
    for (const path of (await listManifests(folder)).files) if (await isManifest(path)) return true;
    return false;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw new RunFailure(`cannot read ${folder}: ${reason(error)}`);
  }
}

/** YAML counts whatever is in it: somebody is at work there. JSON may be a file of secrets, which reads as nothing. */
async function isManifest(path: string): Promise<boolean> {
  if (!path.endsWith(".json")) return true;
  const { manifest } = await readManifestFile(path);
  return manifest.documents.length > 0 || manifest.faults.length > 0;
}

/** Writes a file that is not there yet. False: it is, and stays as it is. */
async function writeNew(path: string, content: string, otherwise: string): Promise<boolean> {
  try {
    await mkdir(dirname(path), { recursive: true });
  } catch (error) {
    // EEXIST means something else here: a file stands where the folder should be.
    throw new RunFailure(`cannot make ${dirname(path)}: ${reason(error)}; ${otherwise}`);
  }
  try {
    await writeFile(path, content, { flag: "wx" });
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw new RunFailure(`cannot write ${path}: ${reason(error)}; ${otherwise}`);
  }
}

const ADJECTIVES = [
  "amber",
  "brisk",
  "calm",
  "clever",
  "eager",
  "gentle",
  "jolly",
  "keen",
  "lucky",
  "merry",
  "quiet",
  "swift",
];
const NOUNS = [
  "badger",
  "crane",
  "falcon",
  "hare",
  "heron",
  "lynx",
  "marten",
  "otter",
  "raven",
  "robin",
  "stoat",
  "wren",
];

/** "swift-otter-1f3c": easy to say, and hard to make twice, because two apps with one id on one server share their keys. */
function makeUpAppId(random: Random): string {
  const pick = (words: readonly string[]): string => words[Math.floor(random.fraction() * words.length)] ?? "app";
  return `${pick(ADJECTIVES)}-${pick(NOUNS)}-${random.uuid().slice(0, 4)}`;
}
