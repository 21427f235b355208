// Reads the connection string: what Dapr and its Go driver take from it, what SQLite itself takes, what has no effect.
// Touches no file. Rules: dapr-state-stores.md 7a; URI file names: https://www.sqlite.org/uri.html
import { resolve } from "node:path";
import type { Fault } from "#kit/fault.ts";

export interface Location {
  /** What SQLite is given. */
  readonly uri: string;
  /** Absolute path of the file; null for a database in memory. */
  readonly path: string | null;
  /** The connection string asks for it; a file without write permission is another matter. */
  readonly readOnly: boolean;
  /** "cache_size=-4000": what follows the word PRAGMA; checked. */
  readonly pragmas: readonly string[];
}

export interface Reading {
  /** Null when a fault is an error. */
  readonly location: Location | null;
  readonly faults: readonly Fault[];
}

const FIELD = "connectionString";
const PRAGMA = /^([A-Za-z_]+)\s*(?:\(\s*([\w.+-]+)\s*\)|=\s*([\w.+-]+))$/;
/** Pragmas that have a field of their own, or that the layout does not allow. */
const REFUSED_PRAGMAS: ReadonlySet<string> = new Set(["busy_timeout", "journal_mode", "foreign_keys"]);
const MODES: ReadonlySet<string> = new Set(["ro", "rw", "rwc", "memory"]);

/** Splits the text into the path, SQLite's own parameters and ours; faults never show values of parameters. */
export function readConnectionString(text: string): Reading {
  const body = /^file:/i.test(text) ? text.slice("file:".length) : text;
  const [beforeFragment = ""] = body.split("#", 1);
  const question = beforeFragment.indexOf("?");
  const rawPath = question === -1 ? beforeFragment : beforeFragment.slice(0, question);
  const parameters = new URLSearchParams(question === -1 ? "" : beforeFragment.slice(question + 1));
  const faults = [...parameterFaults(parameters)];
  const inMemory = /^:memory:/i.test(rawPath) || parameters.get("mode") === "memory";
  const path = inMemory ? null : filePath(rawPath);
  if (path === "") faults.push(error("the path of a database file, or :memory:"));
  if (faults.some((fault) => fault.severity === "error")) return { location: null, faults };
  return {
    faults,
    location: {
      uri: inMemory ? ":memory:" : `file:${rawPath}${ownParameters(parameters)}`,
      path,
      readOnly: parameters.get("mode") === "ro" || isOn(parameters.get("immutable")),
      pragmas: parameters.getAll("_pragma").map(spellPragma),
    },
  };
}

function parameterFaults(parameters: URLSearchParams): readonly Fault[] {
  const faults: Fault[] = [];
  for (const [name, value] of parameters) {
    if (name === "_pragma") faults.push(...pragmaFaults(value));
    else if (name === "mode" && !MODES.has(value)) faults.push(error("mode=ro, rw, rwc or memory"));
    else if (name === "_txlock" && value !== "immediate") faults.push(warning("_txlock", "writes lock at their start"));
    else if (name === "cache") faults.push(warning(name, "reads and writes have connections of their own"));
    else if (name.startsWith("_") && name !== "_txlock") faults.push(warning(name, "it belongs to another client"));
  }
  return faults;
}

function pragmaFaults(value: string): readonly Fault[] {
  const name = PRAGMA.exec(value)?.[1]?.toLowerCase();
  if (name === undefined) return [error("each _pragma as name(value) or name=value with a plain value")];
  if (!REFUSED_PRAGMAS.has(name)) return [];
  return [error(`no _pragma ${name}: the fields busyTimeout and disableWAL set what can be set`)];
}

function spellPragma(value: string): string {
  const [, name = "", called, assigned] = PRAGMA.exec(value) ?? [];
  return `${name}=${called ?? assigned ?? ""}`;
}

/** SQLite's own parameters again as a query. A shared cache would bring back the lock between reads and writes. */
function ownParameters(parameters: URLSearchParams): string {
  const own = [...parameters].filter(([name]) => !name.startsWith("_") && name !== "cache");
  if (own.length === 0) return "";
  return `?${own.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&")}`;
}

/** The file that SQLite will open for this part of a URI, absolute; "" for none. */
function filePath(rawPath: string): string {
  const local = rawPath.replace(/^\/\/(localhost)?(?=\/)/, "");
  const path = local.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll("%", ""), "hex").toString("utf8"),
  );
  return path === "" ? "" : resolve(path);
}

function isOn(value: string | null): boolean {
  return value !== null && ["1", "true", "yes", "on"].includes(value.toLowerCase());
}

function error(want: string): Fault {
  return { severity: "error", field: FIELD, got: null, want, hint: "see docs/stores/sqlite.md" };
}

function warning(name: string, hint: string): Fault {
  return { severity: "warning", field: FIELD, got: name, want: "no such parameter: it has no effect here", hint };
}
