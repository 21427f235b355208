// The field indexedProperties: members of the values as computed columns with an index (dapr-state-stores.md 8a, 8b).
// Touches no server.
import type { Fault } from "#kit/fault.ts";
import { bracket } from "./statements.ts";

export interface IndexedProperty {
  /** Name of the column, and of its index behind "IX_". */
  readonly column: string;
  /** Path in the value, without "$.". */
  readonly property: string;
  /** Of the column, as T-SQL has it. */
  readonly type: string;
}

const FIELD = "indexedProperties";
const WANT = '[{"column":"…","property":"…","type":"…"}]';
const PROPERTIES_MAX = 100;

/** Dapr takes these characters and no others; only they ever come into a statement. */
const SHAPES: Readonly<Record<keyof IndexedProperty, RegExp>> = {
  column: /^[\p{L}\p{N}_]{1,110}$/u,
  property: /^[\p{L}\p{N}_.[\]]{1,400}$/u,
  type: /^[0-9A-Za-z_()]{1,50}$/,
};

export type IndexedPropertiesReading = { readonly properties: readonly IndexedProperty[] } | { readonly fault: Fault };

export function readIndexedProperties(text: string): IndexedPropertiesReading {
  if (text.trim() === "") return { properties: [] };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fault(`JSON: ${WANT}`);
  }
  if (!Array.isArray(parsed)) return fault(`an array: ${WANT}`);
  if (parsed.length > PROPERTIES_MAX) return fault(`at most ${PROPERTIES_MAX} properties`);
  const properties = parsed.map((each: unknown) => propertyOf(each));
  const complete = properties.filter((each) => each !== null);
  if (complete.length < properties.length)
    return fault(
      `${WANT} with letters, digits and underscores, dots and brackets in a property, parentheses in a type`,
    );
  const columns = new Set(complete.map(({ column }) => column.toLowerCase()));
  if (columns.size < complete.length) return fault("each column once");
  return { properties: complete };
}

/** Names of members count without regard to case, as Go's decoder takes them. */
function propertyOf(value: unknown): IndexedProperty | null {
  if (typeof value !== "object" || value === null) return null;
  const members = new Map(Object.entries(value).map(([name, each]) => [name.toLowerCase(), each]));
  const read = (name: keyof IndexedProperty): string | null => {
    const text: unknown = members.get(name);
    return typeof text === "string" && SHAPES[name].test(text) ? text : null;
  };
  const [column, property, type] = [read("column"), read("property"), read("type")];
  return column === null || property === null || type === null ? null : { column, property, type };
}

/** As a column of a table that is made, or added. */
export function computedColumn({ column, property, type }: IndexedProperty): string {
  return `${bracket(column)} AS CONVERT(${type}, JSON_VALUE([Data], N'$.${property}')) PERSISTED`;
}

function fault(want: string): IndexedPropertiesReading {
  return { fault: { severity: "error", field: FIELD, got: null, want, hint: "see docs/stores/sqlserver.md" } };
}
