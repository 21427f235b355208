// Environment variables in the text of a Configuration, replaced before it is parsed, as Dapr does (dapr-state-api.md
// 8.4): `${NAME}` and `$NAME`, by the rules of Go's os.ExpandEnv. Knows no YAML.

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Expanded {
  readonly text: string;
  /** Variables that are not set, each once: they count as empty. */
  readonly missing: readonly string[];
}

/** A name in braces, a bare name, or one of the characters that are variables of a shell; what fits none stays. */
const REFERENCE = /\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*)|([*#$@!?0-9-]))/g;

export function expandVariables(text: string, env: Environment): Expanded {
  const missing = new Set<string>();
  const expanded = text.replaceAll(REFERENCE, (_all, braced?: string, bare?: string, special?: string) => {
    const name = braced ?? bare ?? special ?? "";
    const value = name === "" ? "" : env[name];
    if (value === undefined) missing.add(name);
    return value ?? "";
  });
  return { text: expanded, missing: [...missing] };
}
