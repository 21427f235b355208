// The first rows of an order, gathered from rows that come in any order: never more in memory than the answer may have.
import type { Found } from "../../stores/store.ts";
import type { Place, RowOrder } from "./order.ts";

export interface SelectedRow {
  readonly place: Place;
  readonly found: Found;
}

export interface SelectionLimits {
  readonly rowsMax: number;
  /** Of all values together; 0 for no limit. One row is kept however large. */
  readonly bytesMax: number;
}

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
    this.#bytes += row.found.bytes.length;
    while (this.#isOverfull()) this.#dropLast();
  }

  #isOverfull(): boolean {
    const { rowsMax, bytesMax } = this.#limits;
    if (this.#rows.length > rowsMax) return true;
    return bytesMax > 0 && this.#bytes > bytesMax && this.#rows.length > 1;
  }

  #dropLast(): void {
    const last = this.#rows.pop();
    if (last === undefined) return;
    this.#keys.delete(last.place.key);
    this.#bytes -= last.found.bytes.length;
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
