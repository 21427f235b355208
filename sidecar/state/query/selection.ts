// The first rows of an order, gathered from rows that come in any order: never more in memory than the answer may have.
import type { Found } from "../../stores/store.ts";
import { JsonNumber } from "./number.ts";
import type { Place, RowOrder } from "./order.ts";

export interface SelectedRow {
  readonly place: Place;
  readonly found: Found;
}

export interface SelectionLimits {
  readonly rowsMax: number;
  /** Of the answer: rows and token; 0 for no limit. One row is kept however large. */
  readonly bytesMax: number;
}

/** What an answer has for a row besides value, key and ETag, in bytes: names, lengths, quotes. */
const ROW_BYTES = 64;
/** What a token takes besides the last row's place, in bytes, */
const TOKEN_BYTES = 256;
/** and what it takes for each byte of that place: the key stands in it twice, all of it in base64. */
const TOKEN_FACTOR = 4;

export class Selection {
  readonly #order: RowOrder;
  readonly #limits: SelectionLimits;
  /** In their order. */
  readonly #rows: SelectedRow[] = [];
  /** Of the rows: a store may tell one twice. */
  readonly #keys = new Set<string>();
  #bytes = 0;
  /** The first place that found no room: what comes behind it has none either, or a page would have a hole. */
  #end: Place | null = null;

  constructor(order: RowOrder, limits: SelectionLimits) {
    this.#order = order;
    this.#limits = limits;
  }

  get rows(): readonly SelectedRow[] {
    return this.#rows;
  }

  /** Whether there were more rows than there was room for. */
  get isCut(): boolean {
    return this.#end !== null;
  }

  /** Of a row that is told twice the first telling stands: to take it out again could leave a hole in the page. */
  add(row: SelectedRow): void {
    if (this.#keys.has(row.place.key)) return;
    if (this.#end !== null && this.#order.compare(row.place, this.#end) >= 0) return;
    this.#rows.splice(this.#indexOf(row.place), 0, row);
    this.#keys.add(row.place.key);
    this.#bytes += bytesOf(row);
    while (this.#isOverfull()) this.#dropLast();
  }

  #isOverfull(): boolean {
    const { rowsMax, bytesMax } = this.#limits;
    if (this.#rows.length > rowsMax) return true;
    const last = this.#rows.at(-1);
    if (bytesMax === 0 || last === undefined || this.#rows.length === 1) return false;
    return this.#bytes + tokenBytes(last.place) > bytesMax;
  }

  #dropLast(): void {
    const last = this.#rows.pop();
    if (last === undefined) return;
    this.#keys.delete(last.place.key);
    this.#bytes -= bytesOf(last);
    this.#end = last.place;
  }

  /** Where a place stands among the rows, or would. */
  #indexOf(place: Place): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const row = this.#rows[middle];
      if (row !== undefined && this.#order.compare(row.place, place) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** About what a row takes of an answer. */
function bytesOf({ place, found }: SelectedRow): number {
  return ROW_BYTES + Buffer.byteLength(place.key) + Buffer.byteLength(found.etag ?? "") + found.bytes.length;
}

/** About what a token takes that says where the next page begins. */
function tokenBytes({ key, by }: Place): number {
  let bytes = Buffer.byteLength(key);
  for (const value of by) {
    if (value instanceof JsonNumber) bytes += value.text.length;
    else if (typeof value === "string") bytes += Buffer.byteLength(value);
  }
  return TOKEN_BYTES + TOKEN_FACTOR * bytes;
}
