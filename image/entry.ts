// A file or folder of the image, as data: what layers and folders are made of. Knows no format.

/** `path` is relative, without "/" at either end; a folder stands before what is in it once entries are sorted by path. */
export type Entry =
  | { readonly kind: "folder"; readonly path: string; readonly mode: number }
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly bytes: Buffer };

export const FOLDER_MODE = 0o755;
export const FILE_MODE = 0o644;
export const PROGRAM_MODE = 0o755;

export function file(path: string, bytes: Buffer | string, mode: number = FILE_MODE): Entry {
  return { kind: "file", path, mode, bytes: typeof bytes === "string" ? Buffer.from(bytes) : bytes };
}

export function folder(path: string, mode: number = FOLDER_MODE): Entry {
  return { kind: "folder", path, mode };
}

/**
 * All entries with the folders that they stand in, in the order of their paths, so that the same content always comes
 * out as the same bytes. Throws when two entries have one path.
 */
export function complete(entries: readonly Entry[]): readonly Entry[] {
  const byPath = new Map<string, Entry>();
  for (const entry of entries) {
    if (byPath.has(entry.path)) throw new Error(`two entries with the path ${entry.path}: want one`);
    byPath.set(entry.path, entry);
  }
  for (const { path } of entries) {
    for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1)) {
      const parent = path.slice(0, slash);
      if (!byPath.has(parent)) byPath.set(parent, folder(parent));
    }
  }
  return [...byPath.values()].sort((left, right) => (left.path < right.path ? -1 : 1));
}
