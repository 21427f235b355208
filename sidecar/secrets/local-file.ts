// secretstores.local.file: a JSON file of secrets, nested names joined by a separator (docs/secrets.md).
// Read as a whole when opened; the component host opens it again when the file changes. Never shows what is in it.
import { constants } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { decodeFields, type FieldTable, flag, text } from "#crds/fields.ts";
import { type Secret, type SecretStore, SecretStoreError, type SecretStoreType } from "./store.ts";

/** Largest file in bytes. */
const FILE_BYTES_MAX = 1024 * 1024;
/** Deepest nesting of objects and lists. */
const DEPTH_MAX = 32;

interface LocalFileSettings {
  readonly secretsFile: string;
  readonly nestedSeparator: string;
  readonly multiValued: boolean;
}

const fields: FieldTable<LocalFileSettings> = {
  secretsFile: text({
    fallback: "",
    required: true,
    doc: "Path of the JSON file, relative to the folder that the sidecar was started in.",
  }),
  nestedSeparator: text({ fallback: ":", doc: "Stands between the names of nested members." }),
  multiValued: flag({
    fallback: false,
    doc: "Each member at the top is one secret with several keys, instead of each leaf being a secret of its own.",
  }),
};

export const localFile: SecretStoreType = {
  type: "secretstores.local.file",
  fields,
  prepare(properties) {
    const { settings, faults } = decodeFields(fields, properties, { others: [], page: "docs/secrets.md" });
    if (settings === null) {
      return { faults, files: [], open: () => Promise.reject(new SecretStoreError("the Component has faults")) };
    }
    return { faults, files: [settings.secretsFile], open: () => openFile(settings) };
  },
};

async function openFile(settings: LocalFileSettings): Promise<SecretStore> {
  const secrets = arrange(await readObject(settings.secretsFile), settings);
  return { get: async (name) => secrets.get(name) ?? null };
}

async function readObject(path: string): Promise<object> {
  const json = parseJson(path, await readText(path));
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;
  throw new SecretStoreError(`secretsFile ${JSON.stringify(path)}: want a JSON object of names and secrets`);
}

async function readText(path: string): Promise<string> {
  try {
    const found = await stat(path);
    const { size } = found;
    // Opening a FIFO waits until somebody writes to it, which may be never.
    if (!found.isFile()) throw new SecretStoreError(`secretsFile ${JSON.stringify(path)}: want a regular file`);
    if (size > FILE_BYTES_MAX)
      throw new SecretStoreError(
        `secretsFile ${JSON.stringify(path)}: want at most ${FILE_BYTES_MAX} bytes, got ${size}`,
      );
    return await readFile(path, { encoding: "utf8", flag: constants.O_RDONLY | constants.O_NONBLOCK });
  } catch (error) {
    if (error instanceof SecretStoreError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new SecretStoreError(`secretsFile ${JSON.stringify(path)} cannot be read (${code})`, { cause: error });
  }
}

/** Numbers stay the text that they are written as: 0.10 and 12345678901234567890 are passwords too. */
function parseJson(path: string, content: string): unknown {
  try {
    return JSON.parse(content, (_name: string, value: unknown, context?: { readonly source?: string }) =>
      typeof value === "number" ? (context?.source ?? String(value)) : value,
    );
  } catch (error) {
    // The engine's message quotes the text around the mistake, so only the place is passed on, and no cause.
    const place = error instanceof Error ? (/\(line \d+ column \d+\)/.exec(error.message)?.[0] ?? "") : "";
    throw new SecretStoreError(`secretsFile ${JSON.stringify(path)} is no JSON that can be read ${place}`.trimEnd());
  }
}

/** The secrets by name (dapr's components-contrib, secretstores/local/file). */
function arrange(json: object, settings: LocalFileSettings): ReadonlyMap<string, Secret> {
  const secrets = new Map<string, Secret>();
  if (!settings.multiValued) {
    for (const [name, value] of flatten(json, settings)) secrets.set(name, { [name]: value });
    return secrets;
  }
  for (const [name, value] of Object.entries(json)) {
    const isTree = typeof value === "object" && value !== null;
    secrets.set(name, isTree ? Object.fromEntries(flatten(value, settings)) : { [name]: leafText(value) });
  }
  return secrets;
}

/** The leaves by their joined names: `{a: {b: "x"}, c: ["y"]}` gives "a:b" and "c:0". */
function flatten(tree: object, { secretsFile, nestedSeparator }: LocalFileSettings): ReadonlyMap<string, string> {
  const leaves = new Map<string, string>();
  const visit = (node: object, path: readonly string[]): void => {
    if (path.length > DEPTH_MAX)
      throw new SecretStoreError(`secretsFile ${JSON.stringify(secretsFile)}: nested deeper than ${DEPTH_MAX} levels`);
    for (const [name, value] of Object.entries(node)) {
      const here = [...path, name];
      const joined = here.join(nestedSeparator);
      if (typeof value === "object" && value !== null) visit(value, here);
      else if (leaves.has(joined))
        throw new SecretStoreError(`secretsFile ${JSON.stringify(secretsFile)}: two secrets have the name ${joined}`);
      else leaves.set(joined, leafText(value));
    }
  };
  visit(tree, []);
  return leaves;
}

function leafText(value: unknown): string {
  return value === null || value === undefined ? "" : String(value);
}
