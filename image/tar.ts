// Writes a tar archive (POSIX ustar) of entries in their order. Owner 0:0 and time 0 everywhere, so that equal entries
// give equal bytes. Knows nothing of images, reads no disk.
import type { Entry } from "./entry.ts";

const BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;
const PREFIX_BYTES_MAX = 155;
/** Eleven octal digits. */
const SIZE_MAX = 8 ** 11 - 1;

/** Throws for a path or a size that ustar cannot hold. */
export function tar(entries: readonly Entry[]): Buffer {
  const parts = entries.flatMap((entry) => {
    if (entry.kind === "folder") return [header(entry, 0)];
    const { bytes } = entry;
    return [header(entry, bytes.length), bytes, Buffer.alloc(-bytes.length & (BLOCK_BYTES - 1))];
  });
  // Two empty blocks are the end of an archive.
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK_BYTES)]);
}

function header(entry: Entry, size: number): Buffer {
  if (size > SIZE_MAX) throw new Error(`${entry.path}: got ${size} bytes, want at most ${SIZE_MAX}`);
  const block = Buffer.alloc(BLOCK_BYTES);
  const { name, prefix } = splitPath(entry.kind === "folder" ? `${entry.path}/` : entry.path);
  block.write(name, 0);
  block.write(octal(entry.mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  // The checksum counts its own field as spaces.
  block.write(" ".repeat(8), 148);
  block.write(entry.kind === "folder" ? "5" : "0", 156);
  block.write("ustar\x0000", 257);
  block.write(prefix, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

/** A long path is cut at a slash: the end of at most 100 bytes is the name, what is before it the prefix. */
function splitPath(path: string): { readonly name: string; readonly prefix: string } {
  if (Buffer.byteLength(path) <= NAME_BYTES_MAX) return { name: path, prefix: "" };
  for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)];
    if (name !== "" && Buffer.byteLength(name) <= NAME_BYTES_MAX && Buffer.byteLength(prefix) <= PREFIX_BYTES_MAX)
      return { name, prefix };
  }
  throw new Error(
    `${path}: a path too long for a tar archive, want at most ${PREFIX_BYTES_MAX + NAME_BYTES_MAX} bytes`,
  );
}
