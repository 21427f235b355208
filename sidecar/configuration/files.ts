// The Configuration out of its files: variables, YAML, faults with their lines, later files over earlier ones.
// Keeps nothing and follows nothing.
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { API_VERSION, documentIdentity } from "#crds/component.ts";
import { parseConfiguration } from "#crds/configuration.ts";
import { MANIFEST_BYTES_MAX, type ManifestDocument, readManifest } from "#crds/manifest.ts";
import { describeFault, type Fault, hasErrors } from "#kit/fault.ts";
import { ConfigurationError, type ConfigurationOrigin, type LoadedConfiguration } from "./origin.ts";
import { type Environment, expandVariables } from "./variables.ts";

/** The bytes of all files. */
interface ConfigurationTexts {
  readonly texts: readonly { readonly file: string; readonly text: string }[];
  readonly digest: string;
}

/** Files in the order of the command line: later ones override earlier ones, member by member. None is fine. */
export function fileOrigin(files: readonly string[], env: Environment): ConfigurationOrigin {
  return {
    isFixed: files.length === 0,
    async read() {
      const texts = await readTexts(files);
      return { digest: texts.digest, decode: () => decodeTexts(texts, env) };
    },
  };
}

/** Reads the files. Rejects with a {@link ConfigurationError} for one that is missing or cannot be read. */
async function readTexts(files: readonly string[]): Promise<ConfigurationTexts> {
  const texts = await Promise.all(files.map(async (file) => ({ file, text: await readText(file) })));
  const digest = createHash("sha256").update(JSON.stringify(texts)).digest("base64");
  return { texts, digest };
}

async function readText(file: string): Promise<string> {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new ConfigurationError(file, `${file}: it is no regular file`);
    if (found.size > MANIFEST_BYTES_MAX)
      throw new ConfigurationError(file, `${file}: got ${found.size} bytes, want at most ${MANIFEST_BYTES_MAX}`);
    // Without waiting, should it have become a FIFO since.
    return await readFile(file, { encoding: "utf8", flag: constants.O_RDONLY | constants.O_NONBLOCK });
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new ConfigurationError(file, `configuration file ${JSON.stringify(file)} cannot be read (${code})`);
  }
}

/** One Configuration of all files; the defaults when there is none. Throws a {@link ConfigurationError} for faults. */
function decodeTexts({ texts }: ConfigurationTexts, env: Environment): LoadedConfiguration {
  const warnings: string[] = [];
  let merged: unknown = {};
  for (const { file, text } of texts) {
    const expanded = expandVariables(text, env);
    if (expanded.missing.length > 0)
      warnings.push(`${file}: not set in the environment, and so empty: ${expanded.missing.join(", ")}`);
    const manifest = readManifest(expanded.text);
    const faults = [...manifest.faults, ...manifest.documents.flatMap(documentFaults)];
    const told = (severity: Fault["severity"]): string[] =>
      faults
        .filter(({ fault }) => fault.severity === severity)
        .map(({ fault, line }) => `${file}:${line}: ${describeFault(fault)}`);
    if (hasErrors(faults.map(({ fault }) => fault))) throw new ConfigurationError(file, told("error").join("\n"));
    // Half a file, or one that is being written: nothing stands in it, and nothing would be a Configuration.
    if (manifest.documents.length === 0) throw new ConfigurationError(file, `${file}: it holds no Configuration`);
    warnings.push(...told("warning"));
    for (const { value } of manifest.documents) merged = mergeMembers(merged, value);
  }
  const { configuration, faults } = parseConfiguration(merged);
  if (configuration !== null) return { configuration, warnings };
  // Each file for itself has none: what one begins in one way another goes on with in another.
  throw new ConfigurationError(texts.at(-1)?.file ?? "", faults.map(describeFault).join("\n"));
}

interface PlacedFault {
  readonly fault: Fault;
  readonly line: number;
}

/** All faults of a document that a file of the Configuration holds. */
export function documentFaults(document: ManifestDocument): readonly PlacedFault[] {
  const { apiVersion, kind } = documentIdentity(document.value);
  const identity: Fault[] = [];
  if (kind !== "Configuration") identity.push(wrongIdentity("kind", kind, "Configuration"));
  if (apiVersion !== API_VERSION) identity.push(wrongIdentity("apiVersion", apiVersion, API_VERSION));
  const parsed = kind === null || kind === "Configuration" ? parseConfiguration(document.value).faults : [];
  const placed = [...identity, ...parsed].map((fault) => ({ fault, line: document.lineOf(fault.field) }));
  return [...placed, ...document.faults];
}

/** Dapr does not look at either: only what says something else is an error. */
function wrongIdentity(field: string, got: string | null, want: string): Fault {
  return { severity: got === null ? "warning" : "error", field, got, want, hint: null };
}

/** Members of the later one come first; mappings are merged, lists and everything else replaced. */
function mergeMembers(earlier: unknown, later: unknown): unknown {
  if (!isMapping(earlier) || !isMapping(later)) return later ?? earlier;
  const names = new Set([...Object.keys(earlier), ...Object.keys(later)]);
  return Object.fromEntries([...names].map((name) => [name, mergeMembers(earlier[name], later[name])]));
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
