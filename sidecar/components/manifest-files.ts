// Which files of a folder are manifests, and their bytes as a manifest. Shared by the sidecar and `pannier check`.
// Knows no watch and no Component.
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { MANIFEST_BYTES_MAX, type Manifest, readManifest } from "#crds/manifest.ts";

/** Most manifests in one folder. */
export const FILES_MAX = 1000;

/** Dapr's two endings, and JSON, which is YAML. */
const ENDINGS = [".yaml", ".yml", ".json"];

export interface ManifestFolder {
  /** Paths, sorted by name, as Dapr reads them. Folders within are not entered. */
  readonly files: readonly string[];
  /** How many more there are than {@link FILES_MAX}. */
  readonly left: number;
}

/** Hidden files are passed over: editors and archivers leave them beside what they belong to. */
export async function listManifests(folder: string): Promise<ManifestFolder> {
  const names = (await readdir(folder)).filter(isManifestName).sort();
  const files = names.slice(0, FILES_MAX).map((name) => join(folder, name));
  return { files, left: names.length - files.length };
}

function isManifestName(name: string): boolean {
  return !name.startsWith(".") && ENDINGS.some((ending) => name.endsWith(ending));
}

/** A folder, FIFO, socket or device under a manifest's name. Opening one may wait for ever, so none is opened. */
export class NotRegularFile extends Error {
  override readonly name = "NotRegularFile";
  /** Where Node's own errors have theirs. */
  readonly code = "it is no regular file";
}

export interface ManifestFile {
  readonly manifest: Manifest;
  /** It is JSON without an apiVersion, and so of somebody else. */
  readonly foreign: boolean;
  /** Nothing but white space: how a file looks between being cut to nothing and being written. */
  readonly blank: boolean;
  /** Equal for equal bytes. */
  readonly digest: string;
  /** Null when it is too long or no text. */
  readonly text: string | null;
}

/**
 * Reads a manifest; what is wrong inside becomes its faults, what is wrong with the file rejects as node:fs does, or
 * with {@link NotRegularFile}.
 * A JSON file without an apiVersion reads as an empty one: people keep the file of secretstores.local.file there.
 */
export async function readManifestFile(path: string): Promise<ManifestFile> {
  const found = await stat(path);
  if (!found.isFile()) throw new NotRegularFile(path);
  const { size, mtimeMs } = found;
  if (size > MANIFEST_BYTES_MAX) {
    return unreadable(`a file of at most ${MANIFEST_BYTES_MAX} bytes, not ${size}`, `${size} bytes, ${mtimeMs}`);
  }
  // Without waiting, should it have become a FIFO since.
  const bytes = await readFile(path, { flag: constants.O_RDONLY | constants.O_NONBLOCK });
  const digest = createHash("sha256").update(bytes).digest("base64");
  const text = decodeUtf8(bytes);
  if (text === null) return unreadable("text in UTF-8", digest);
  const isManifest = !path.endsWith(".json") || text.includes('"apiVersion"');
  return {
    manifest: isManifest ? readManifest(text) : { documents: [], faults: [] },
    foreign: !isManifest,
    blank: text.trim() === "",
    digest,
    text,
  };
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Throws for nothing but bytes that are no UTF-8.
    return null;
  }
}

function unreadable(want: string, digest: string): ManifestFile {
  const hint = "nothing of this file is used";
  const fault = { severity: "error", field: "", got: null, want, hint } as const;
  return {
    manifest: { documents: [], faults: [{ fault, line: 1 }] },
    foreign: false,
    blank: false,
    digest,
    text: null,
  };
}
