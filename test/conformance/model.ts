// The reference model: what a store with ETags answers, in as few lines as can be read at one sitting. It has versions
// where a store has ETags, no clock and no bytes. Knows no driver.

/** The condition of a change, as a version that the caller means. */
export type Condition = "none" | "first-write" | { readonly version: number };

export interface ModelChange {
  readonly key: string;
  /** Null deletes. */
  readonly value: string | null;
  readonly condition: Condition;
}

export interface ModelRow {
  readonly value: string;
  /** Another number after every write of any key; never given twice. */
  readonly version: number;
}

/** A version that no row ever has. */
export const NO_VERSION = -1;

export class Model {
  readonly #rows = new Map<string, ModelRow>();
  readonly #firstWriteDelete: "conflict" | "ignored";
  #lastVersion = 0;

  constructor(firstWriteDelete: "conflict" | "ignored") {
    this.#firstWriteDelete = firstWriteDelete;
  }

  get(key: string): ModelRow | null {
    return this.#rows.get(key) ?? null;
  }

  /** A single change, or a transaction: false, and nothing has changed, when a condition does not hold. */
  apply(changes: readonly ModelChange[]): boolean {
    if (!changes.every((change) => this.#holds(change))) return false;
    for (const { key, value } of changes) {
      if (value === null) this.#rows.delete(key);
      else this.#rows.set(key, { value, version: ++this.#lastVersion });
    }
    return true;
  }

  #holds({ key, value, condition }: ModelChange): boolean {
    const row = this.#rows.get(key);
    if (condition === "none") return true;
    if (condition !== "first-write") return row?.version === condition.version;
    return row === undefined || (value === null && this.#firstWriteDelete === "ignored");
  }
}
