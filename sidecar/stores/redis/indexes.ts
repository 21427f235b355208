// The field queryIndexes (dapr-state-stores.md 2e): indexes over JSON documents, which are made for whoever asks the server
// itself. Pannier's queries go through the keys (docs/query.md), so one that cannot be made fails nothing.
import type { OpenContext } from "../store.ts";
import { RedisError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { Node } from "./topology.ts";

export interface QueryIndex {
  readonly name: string;
  /** In their order, which names them: var0, var1 … */
  readonly paths: readonly { readonly key: string; readonly type: string }[];
}

const INDEXES_MAX = 100;
const PATHS_MAX = 1000;

/** Reads the field's text, empty for no index. Gives `{ want }` when it is none of Dapr's form. */
export function parseIndexes(text: string): readonly QueryIndex[] | { readonly want: string } {
  if (text === "") return [];
  const listed = parsed(text);
  if (!Array.isArray(listed) || listed.length > INDEXES_MAX)
    return { want: `a JSON array of at most ${INDEXES_MAX} objects with "name" and "indexes"` };
  const indexes: QueryIndex[] = [];
  for (const each of listed) {
    const [name, paths = []] = [member(each, "name"), member(each, "indexes")];
    if (!isName(name)) return { want: `a "name" in each index that is a text and not empty` };
    if (indexes.some((other) => other.name === name)) return { want: `names that differ: ${name} comes twice` };
    const read = readPaths(paths ?? []);
    if (read === null)
      return { want: `at most ${PATHS_MAX} paths in the "indexes" of ${name}, each with "key" and "type"` };
    indexes.push({ name, paths: read });
  }
  return indexes;
}

/** The same for a text that was found right. */
export function indexesOf(text: string): readonly QueryIndex[] {
  const indexes = parseIndexes(text);
  return "want" in indexes ? [] : indexes;
}

/**
 * Makes the indexes on each of the masters. One that is there with the same paths stays as it is, another one of its name
 * is replaced, as Dapr does with both. What fails is logged. Rejects with `closed` when the time for opening is over.
 */
export async function createIndexes(
  indexes: readonly QueryIndex[],
  masters: readonly Node[],
  { log, component, signal }: OpenContext,
): Promise<void> {
  for (const { connection } of masters) {
    for (const index of indexes) {
      try {
        await create(connection.current ?? (await connection.next(signal)), index);
      } catch (error) {
        if (signal.aborted || !(error instanceof RedisError)) throw error;
        const { message } = error;
        log.warn("redis does not make an index of queryIndexes", { component, index: index.name, error: message });
      }
    }
  }
}

async function create(link: Link, index: QueryIndex): Promise<void> {
  const args = [index.name, "ON", "JSON", "SCHEMA", ...index.paths.flatMap(schemaOf)];
  try {
    await link.call("write", "ft.create", args);
  } catch (error) {
    if (!(error instanceof RedisError) || !error.message.includes("Index already exists")) throw error;
    if (await isThere(link, index)) return;
    await link.call("write", "ft.dropindex", [index.name]);
    await link.call("write", "ft.create", args);
  }
}

function schemaOf({ key, type }: QueryIndex["paths"][number], position: number): string[] {
  return [`$.data.${key}`, "AS", `var${position}`, type, "SORTABLE"];
}

/** Whether the index of this name is over all documents and has these paths, and no others. */
async function isThere(link: Link, { name, paths }: QueryIndex): Promise<boolean> {
  const told = pairsOf(await link.call("read", "ft.info", [name]));
  const definition = pairsOf(told.get("index_definition"));
  const attributes = told.get("attributes");
  if (!Array.isArray(attributes) || attributes.length !== paths.length) return false;
  const isOverAll = String(definition.get("key_type")) === "JSON" && String(definition.get("prefixes")) === "";
  return isOverAll && attributes.every((attribute, position) => isSame(attribute, paths[position], position));
}

function isSame(told: unknown, path: QueryIndex["paths"][number] | undefined, position: number): boolean {
  const attribute = pairsOf(told);
  const [want, , alias, type] = path === undefined ? [] : schemaOf(path, position);
  const isSortable = Array.isArray(told) && told.some((word) => String(word) === "SORTABLE");
  const [identifier, name, kind] = ["identifier", "attribute", "type"].map((word) => String(attribute.get(word)));
  return isSortable && identifier === want && name === alias && kind === type?.toUpperCase();
}

/** An answer that is a list of names and values, one after the other. */
function pairsOf(answer: unknown): ReadonlyMap<string, unknown> {
  const pairs = new Map<string, unknown>();
  if (!Array.isArray(answer)) return pairs;
  for (let at = 0; at + 1 < answer.length; at += 2) pairs.set(String(answer[at]), answer[at + 1]);
  return pairs;
}

function readPaths(listed: unknown): QueryIndex["paths"] | null {
  if (!Array.isArray(listed) || listed.length > PATHS_MAX) return null;
  const paths = listed.flatMap((each: unknown) => {
    const [key, type] = [member(each, "key"), member(each, "type")];
    return isName(key) && isName(type) ? [{ key, type }] : [];
  });
  return paths.length === listed.length ? paths : null;
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** Dapr's decoder does not mind capital letters in a member's name. */
function member(object: unknown, name: string): unknown {
  if (typeof object !== "object" || object === null) return undefined;
  return Object.entries(object).find(([each]) => each.toLowerCase() === name)?.[1];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON is told by what is wanted: the parser's words would show the text.
    return null;
  }
}
