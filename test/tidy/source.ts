// The project's own source as the tidy test looks at it: files, their imports, their functions, the calls they make.
import { readdirSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { type Node, type Program, parse } from "acorn";
import { ancestor, full } from "acorn-walk";

export const ROOMS: readonly string[] = [
  "kit",
  "crds",
  "proto",
  "sidecar",
  "operator",
  "cli",
  "charts",
  "docs",
  "image",
  "test",
  "bench",
];

export interface SourceFile {
  /** From the project's root, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly program: Program;
}

export interface Measured {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

/** What programs wrote. */
const GENERATED = /^proto\/gen\//;

/** Every TypeScript file of the rooms that exist, but the generated ones. */
export function readSources(root: string): readonly SourceFile[] {
  const entries = readdirSync(root, { withFileTypes: true }).map((entry) => entry.name);
  const folders = ROOMS.filter((room) => entries.includes(room));
  const paths = folders.flatMap((folder) => filesIn(root, folder)).filter((path) => !GENERATED.test(path));
  return paths.map((path) => readSource(root, path));
}

function filesIn(root: string, folder: string): string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".ts"));
  return files.map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

function readSource(root: string, path: string): SourceFile {
  const text = readFileSync(join(root, path), "utf8");
  return parseSource(path, text);
}

export function parseSource(path: string, text: string): SourceFile {
  // Stripping puts blanks where types were, so lines and columns stay what they are in the file.
  const program = parse(stripTypeScriptTypes(text), {
    ecmaVersion: "latest",
    sourceType: "module",
    locations: true,
    allowHashBang: true,
  });
  return { path, text, lines: text.split("\n").length - 1, program };
}

/** What a file imports, static and dynamic, types too, as written. */
export function importsOf(file: SourceFile): readonly string[] {
  return [...file.text.matchAll(/(?:\sfrom |(?<![.\w])import[ (])"([^"]+)"/g)].map((match) => match[1] ?? "");
}

/** Every function with its length in lines; those inside others count for themselves and for the outer one. */
export function functionsOf(file: SourceFile): readonly Measured[] {
  const found: Measured[] = [];
  ancestor(file.program, {
    Function(node, _state, ancestors) {
      const { loc } = node;
      if (loc === null || loc === undefined) return;
      found.push({ name: nameOf(ancestors), line: loc.start.line, lines: loc.end.line - loc.start.line + 1 });
    },
  });
  return found;
}

function nameOf(ancestors: readonly Node[]): string {
  for (const node of ancestors.toReversed()) {
    if ("id" in node && isNamed(node.id)) return node.id.name;
    if ("key" in node && isNamed(node.key)) return node.key.name;
  }
  return "(anonymous)";
}

function isNamed(value: unknown): value is { name: string } {
  return typeof value === "object" && value !== null && "name" in value && typeof value.name === "string";
}

export interface Reference {
  readonly name: string;
  readonly line: number;
}

/**
 * What the code (not comments or strings) refers to: globals as "setTimeout", members as "Date.now" (also through
 * `globalThis`, by a text in brackets, or by taking them out of their object), `new Date()` without arguments, and default exports.
 */
export function referencesOf(file: SourceFile): readonly Reference[] {
  const found: Reference[] = [];
  full(file.program, (node) => {
    const line = node.loc?.start.line ?? 0;
    for (const name of namesIn(node)) found.push({ name, line });
  });
  return found;
}

function namesIn(node: Node): readonly string[] {
  if (node.type === "MemberExpression" && "object" in node && "property" in node)
    return memberNames(node.object, node.property);
  if (node.type === "CallExpression" && "callee" in node && isNamed(node.callee)) return [node.callee.name];
  if (node.type === "NewExpression" && "callee" in node && isNamed(node.callee) && "arguments" in node) {
    return Array.isArray(node.arguments) && node.arguments.length === 0 ? [`new ${node.callee.name}()`] : [];
  }
  if (node.type === "VariableDeclarator" && "init" in node && "id" in node) return takenOut(node.init, node.id);
  return isDefaultExport(node) ? ["export default"] : [];
}

function memberNames(object: unknown, property: unknown): readonly string[] {
  const member = isNamed(property) ? property.name : literalText(property);
  if (member === null) return [];
  if (isNamed(object)) return object.name === "globalThis" ? [member] : [`${object.name}.${member}`];
  // globalThis.Date.now
  return isMember(object) && isNamed(object.property) ? [`${object.property.name}.${member}`] : [];
}

/** const { env, exit } = process */
function takenOut(init: unknown, pattern: unknown): readonly string[] {
  if (!isNamed(init) || typeof pattern !== "object" || pattern === null || !("properties" in pattern)) return [];
  const properties = Array.isArray(pattern.properties) ? pattern.properties : [];
  return properties.flatMap((property: { key?: unknown }) =>
    isNamed(property.key) ? [`${init.name}.${property.key.name}`] : [],
  );
}

function literalText(node: unknown): string | null {
  return typeof node === "object" && node !== null && "value" in node && typeof node.value === "string"
    ? node.value
    : null;
}

function isMember(node: unknown): node is { property: unknown } {
  return (
    typeof node === "object" &&
    node !== null &&
    "type" in node &&
    node.type === "MemberExpression" &&
    "property" in node
  );
}

function isDefaultExport(node: Node): boolean {
  if (node.type === "ExportDefaultDeclaration") return true;
  if (node.type !== "ExportNamedDeclaration" || !("specifiers" in node) || !Array.isArray(node.specifiers))
    return false;
  return node.specifiers.some(
    ({ exported }: { exported: unknown }) => isNamed(exported) && exported.name === "default",
  );
}
