// What a key is in the column of its type, and which keys a column can hold (dapr-state-stores.md 8a, 8b). Knows no value.
import { StoreError } from "../store.ts";
import type { KeyType } from "./fields.ts";

/** How statements write, compare and read a key; `name` is a parameter's, as "@Key". */
export interface KeyColumn {
  readonly parameter: (name: string) => string;
  /** True for the row of this very key and no other. */
  readonly same: (name: string) => string;
  readonly selected: string;
  /** Of a table that is made. */
  readonly definition: string;
  /** Keys are compared by their code units, along which one can walk. */
  readonly walkable: boolean;
  /** In bytes of UTF-8; a text has at most as many characters. */
  readonly bytesMax: number;
  /** Throws a StoreError of code `refused` for what the column can never hold. */
  readonly check: (key: string) => void;
}

/** What is known of the column `Key`. */
export interface FoundColumn {
  readonly type: string;
  /** Characters; null where the type has no length. */
  readonly length: number | null;
  /** Null where the type has none. */
  readonly collation: string | null;
}

/** Keys differ where a code unit does. Spaces at the end are ignored all the same: no collation of the server heeds them. */
export const COLLATION = "Latin1_General_100_BIN2";
/** An index as a primary key is has 900 bytes for a key, two for each character. */
export const INDEX_CHARACTERS_MAX = 450;

export function definitionOf(keyType: KeyType, keyLength: number): string {
  if (keyType === "uuid") return "UNIQUEIDENTIFIER";
  return keyType === "integer" ? "INT" : `NVARCHAR(${keyLength}) COLLATE ${COLLATION}`;
}

/** `definition` is how the settings would make the column; `found` how it is. Null where the two are of different kinds. */
export function keyColumnOf(keyType: KeyType, keyLength: number, found: FoundColumn): KeyColumn | null {
  const definition = definitionOf(keyType, keyLength);
  if (keyType === "uuid") return found.type === "uniqueidentifier" ? uuidColumn(definition) : null;
  if (keyType === "integer") return found.type === "int" ? integerColumn(definition) : null;
  return found.type === "nvarchar" ? textColumn(definition, found) : null;
}

function textColumn(definition: string, { length, collation }: FoundColumn): KeyColumn {
  return {
    definition,
    parameter: (name) => name,
    // The first part finds the row by the index; by most collations other keys are equal to this one too.
    same: (name) =>
      `[Key] = ${name} AND ${bytesOf("[Key]")} = ${bytesOf(name)} AND DATALENGTH([Key]) = DATALENGTH(${name})`,
    selected: "[Key]",
    walkable: collation !== null && /_BIN2$/i.test(collation),
    bytesMax: Math.min(length ?? INDEX_CHARACTERS_MAX, INDEX_CHARACTERS_MAX),
    check: mustBeText,
  };
}

/** The server fills up the shorter of two with zeros before it compares, so lengths are compared besides. */
export function bytesOf(text: string): string {
  return `CONVERT(VARBINARY(8000), ${text})`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const UUID_LENGTH = 36;

/** The column forgets how a UUID was spelled, so only one spelling is a key. */
function uuidColumn(definition: string): KeyColumn {
  const parameter = (name: string): string => `CONVERT(UNIQUEIDENTIFIER, ${name})`;
  return {
    definition,
    parameter,
    same: (name) => `[Key] = ${parameter(name)}`,
    selected: "LOWER(CONVERT(NVARCHAR(36), [Key]))",
    walkable: false,
    bytesMax: UUID_LENGTH,
    check: (key) => {
      if (!UUID.test(key)) throw unfit("uuid", "UUIDs in lower case, as 01234567-89ab-cdef-0123-456789abcdef");
    },
  };
}

const INTEGER = /^(?:0|-?[1-9]\d{0,9})$/;
const INT_MAX = 2_147_483_647;
const INT_MIN = -2_147_483_648;

function integerColumn(definition: string): KeyColumn {
  const parameter = (name: string): string => `CONVERT(INT, ${name})`;
  return {
    definition,
    parameter,
    same: (name) => `[Key] = ${parameter(name)}`,
    selected: "CONVERT(NVARCHAR(11), [Key])",
    walkable: false,
    bytesMax: String(INT_MIN).length,
    check: (key) => {
      const number = INTEGER.test(key) ? Number(key) : Number.NaN;
      if (!(number >= INT_MIN && number <= INT_MAX))
        throw unfit("integer", `whole numbers of 32 bits without a sign of plus and without zeros before them`);
    },
  };
}

function unfit(keyType: KeyType, taken: string): StoreError {
  return new StoreError("refused", `keyType ${keyType} takes only keys that are ${taken}, with keyPrefix none`);
}

function mustBeText(key: string): void {
  if (!key.isWellFormed()) throw new StoreError("refused", "the key holds half a surrogate pair, which is no text");
}
