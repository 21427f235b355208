// Which node a key has: `<keyPrefixPath>/<key>`, with the slashes of a key as levels of the tree, as in Dapr's layout
// (dapr-state-stores.md 17). What ZooKeeper takes in no name is escaped, so that every key is a node of its own.
import { StoreError } from "../store.ts";

/** Stands before an escaped character, whose number in hex and a semicolon follow. Itself it is always escaped. */
const ESCAPE = "\u241b";

/** The longest key in bytes, of which each makes at most six of the path. */
export const KEY_BYTES_MAX = 2048;
const PREFIX_BYTES_MAX = 1024;

/** The tree that ZooKeeper keeps for itself. */
const RESERVED = "zookeeper";

/** The path that a prefix means: cleaned as Dapr's driver does, and always from the root. "" for the root itself. */
export function prefixOf(keyPrefixPath: string): string {
  const names: string[] = [];
  for (const name of keyPrefixPath.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return names.map((name) => `/${name}`).join("");
}

/** What is wrong with a prefix, as the end of "want …"; null when nothing is. */
export function prefixFault(keyPrefixPath: string): string | null {
  const prefix = prefixOf(keyPrefixPath);
  if (Buffer.byteLength(prefix) > PREFIX_BYTES_MAX) return `a path of at most ${PREFIX_BYTES_MAX} bytes`;
  if ([...prefix].some(isRefused))
    return "a path of characters that ZooKeeper takes: no controls, none outside the first plane";
  if (prefix === `/${RESERVED}` || prefix.startsWith(`/${RESERVED}/`)) return `a path outside /${RESERVED}`;
  return null;
}

export class Paths {
  readonly #prefix: string;

  constructor(keyPrefixPath: string) {
    this.#prefix = prefixOf(keyPrefixPath);
  }

  /** Throws a StoreError of code `refused` for a key that is too long. */
  pathOf(key: string): string {
    const bytes = Buffer.byteLength(key);
    if (bytes > KEY_BYTES_MAX)
      throw new StoreError("refused", `a key of ${bytes} bytes, its prefix included; at most ${KEY_BYTES_MAX} fit`);
    if (isPlain(key)) return `${this.#prefix}/${key}`;
    const names = key.split("/").map(escapeName);
    if (this.#prefix === "" && names[0] === RESERVED) names[0] = escapeAll(RESERVED);
    return `${this.#prefix}/${names.join("/")}`;
  }

  /** The nodes between the prefix and a key's own, the highest first; none for a key without slashes. */
  parentsOf(path: string): readonly string[] {
    return nodesAbove(path, this.#prefix.length);
  }
}

/** The nodes above one, the highest first; `from`: without those whose path is not longer. */
export function nodesAbove(path: string, from = 0): readonly string[] {
  const found: string[] = [];
  for (let slash = path.indexOf("/", from + 1); slash > 0; slash = path.indexOf("/", slash + 1))
    found.push(path.slice(0, slash));
  return found;
}

const FIRST_PRINTABLE = 0x20;
const FIRST_BEYOND_ASCII = 0x7f;

/** Whether a key is its own name: printable ASCII without a slash. Nearly every key is, so the others may take longer. */
function isPlain(key: string): boolean {
  if (key === "" || key === "." || key === ".." || key === RESERVED) return false;
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index);
    if (unit < FIRST_PRINTABLE || unit >= FIRST_BEYOND_ASCII || unit === SLASH) return false;
  }
  return true;
}

const SLASH = 0x2f;

function escapeName(name: string): string {
  if (name === "") return `${ESCAPE};`;
  if (name === "." || name === "..") return escapeAll(name);
  let escaped = "";
  for (const character of name)
    escaped += character === ESCAPE || isRefused(character) ? escapeCharacter(character) : character;
  return escaped;
}

function escapeAll(name: string): string {
  return [...name].map(escapeCharacter).join("");
}

function escapeCharacter(character: string): string {
  return `${ESCAPE}${codeOf(character).toString(16)};`;
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

/** What ZooKeeper takes in no path (PathUtils.validatePath): controls, all beyond the first plane, private use, specials. */
function isRefused(character: string): boolean {
  const code = codeOf(character);
  return code < 0x20 || (code > 0x7e && code < 0xa0) || (code > 0xd7ff && code < 0xf900) || code > 0xffef;
}
