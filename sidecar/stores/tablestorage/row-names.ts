// How rows are named after keys (dapr-state-stores.md 17): what stands before the first "||" is the PartitionKey, what
// stands behind it the RowKey. Keys with more bars keep all of it, where Dapr drops it and makes them all one row. Knows no
// request.
import { isControl, mustBeText, spell, unspell } from "../azure/key-spelling.ts";
import { StoreError } from "../store.ts";

export interface RowName {
  readonly partition: string;
  readonly row: string;
}

const BARS = "||";
/** Characters of a PartitionKey, and of a RowKey: code units of UTF-16, as the service counts. */
const PART_LENGTH_MAX = 1024;
/** Of UTF-8 for a code unit of UTF-16, at most. */
const UNIT_BYTES_MAX = 3;
/** The longest key, both parts full; {@link RowNames} refuses shorter ones with a part that is too long. */
export const KEY_BYTES_MAX: number = 2 * PART_LENGTH_MAX * UNIT_BYTES_MAX + BARS.length;
/** The RowKey of a key without bars, where it cannot be empty. */
const COSMOS_EMPTY_ROW = "_dapr_empty_row_key_value_";

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const HASH = 0x23;
const QUESTION_MARK = 0x3f;

/** What the service takes in neither of the two. */
function isUnfit(code: number): boolean {
  return code === SLASH || code === BACKSLASH || code === HASH || code === QUESTION_MARK || isControl(code);
}

export class RowNames {
  /** The RowKey of a key without bars. */
  readonly emptyRow: string;

  constructor(isCosmos: boolean) {
    this.emptyRow = isCosmos ? COSMOS_EMPTY_ROW : "";
  }

  /** Throws a StoreError of code `refused` for a key that is too long, or whose row would be another key's, or that is no text. */
  nameOf(key: string): RowName {
    mustBeText(key);
    const bars = key.indexOf(BARS);
    const partition = spelled(bars < 0 ? key : key.slice(0, bars));
    const row = bars < 0 ? this.emptyRow : spelled(key.slice(bars + BARS.length));
    mustBeShort("PartitionKey", partition);
    mustBeShort("RowKey", row);
    if (bars >= 0 && row === this.emptyRow)
      throw new StoreError(
        "refused",
        `the part of the key behind "||" is ${row === "" ? "empty" : row}: the row is another key's`,
      );
    return { partition, row };
  }

  /** The key of a name; null for a name that no key has. */
  keyOf({ partition, row }: RowName): string | null {
    const key = row === this.emptyRow ? unspell(partition) : `${unspell(partition)}${BARS}${unspell(row)}`;
    if (partition.includes(BARS)) return null;
    return spelled(unspell(partition)) === partition && (row === this.emptyRow || spelled(unspell(row)) === row)
      ? key
      : null;
  }
}

function mustBeShort(name: string, text: string): void {
  if (text.length <= PART_LENGTH_MAX) return;
  const had = `the key would give a ${name} of ${text.length} characters`;
  throw new StoreError("refused", `${had}, want at most ${PART_LENGTH_MAX} on each side of its first "${BARS}"`);
}

/** As it stands in a PartitionKey or RowKey. What a spelling begins with is the spelling of a beginning. */
export function spelled(text: string): string {
  return spell(text, isUnfit);
}
