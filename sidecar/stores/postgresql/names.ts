// Names of tables as people write them in a manifest, and as they go into SQL: checked, folded and quoted. Knows no server.

export interface TableName {
  /** Null: the server's search_path decides. */
  readonly schema: string | null;
  readonly name: string;
}

/** One identifier: bare, which PostgreSQL folds to lower case, or in double quotes, which keep it. At most 63 bytes. */
const BARE = "[A-Za-z_][A-Za-z0-9_$]{0,62}";
const QUOTED = '"(?:[ !#-~]|""){1,63}"';
const PART = `(?:${BARE}|${QUOTED})`;

/** What a table's name may look like. */
export const TABLE_NAME: RegExp = new RegExp(`^(?:${PART}\\.)?${PART}$`);
export const TABLE_NAME_WANT =
  "a table's name of 1 to 63 ASCII letters, digits, _ and $ that begins with neither a digit nor $, or one in double quotes, with or without a schema before it";

/** What may stand before "state" so that both together are a table's name. */
export const TABLE_PREFIX: RegExp = new RegExp(`^(?:${PART}\\.)?(?:[A-Za-z_][A-Za-z0-9_$]{0,57})?$`);
export const TABLE_PREFIX_WANT =
  'the beginning of a table\'s name: at most 58 ASCII letters, digits, _ and $, neither a digit nor $ first; or a schema with its dot; or both, as in "app.x_"';

const PARTS = new RegExp(`^(?:(${PART})\\.)?(${PART})$`);
const NAME_BYTES_MAX = 63;

/** The table that a checked name means. Null for a text that is no name. */
export function parseTableName(text: string): TableName | null {
  const parts = PARTS.exec(text);
  if (parts === null) return null;
  const [, schema, name = ""] = parts;
  return { schema: schema === undefined ? null : fold(schema), name: fold(name) };
}

/** `"public"."state"` */
export function quoteTable({ schema, name }: TableName): string {
  return schema === null ? quoteName(name) : `${quoteName(schema)}.${quoteName(name)}`;
}

/** An identifier in quotes; PostgreSQL would cut a longer one by itself, and say so in its log. */
export function quoteName(name: string): string {
  return `"${name.slice(0, NAME_BYTES_MAX).replaceAll('"', '""')}"`;
}

/** A text for SQL that means the same whatever standard_conforming_strings says. */
export function quoteText(text: string): string {
  return `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

function fold(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toLowerCase();
}
