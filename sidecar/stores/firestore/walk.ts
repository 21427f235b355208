// Walks over keys: queries of a range of __key__, cut into pages. Whole subtrees of keys with a further "||" are jumped over.
// Datastore orders names by their bytes in UTF-8, behind all numbers.
import { endOfBeginning } from "#kit/utf8-order.ts";
import {
  CompositeFilter_Operator,
  type EntityResult,
  type Filter,
  PropertyFilter_Operator,
  PropertyOrder_Direction,
  QueryResultBatch_MoreResultsType,
} from "#proto/gen/clients/google/datastore/v1/datastore.ts";
import type { How } from "../google/client.ts";
import {
  isInRange,
  type KeyRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
  StoreError,
} from "../store.ts";
import type { Calls } from "./calls.ts";
import { isOurs } from "./changes.ts";
import { foundOf, isName, keyOf, type Layout, nameOf } from "./layout.ts";

/** Queries that one page makes, and entities of each: a page among many keys of actors may be short, or empty. */
const QUERIES_MAX = 20;
const ENTITIES_MAX = 1000;
/** Values come whole, at up to a mebibyte each: so many of them at most in one answer. */
const VALUES_MAX = 100;
const PROPERTY = { name: "__key__" };
const CUT = "datastore cuts every answer short, before its first entity; try again";
const STUCK = "too many entities of this kind have a parent or a number in place of a name; something else wrote them";

/** Where a query begins: behind a key, or at the first key that is not below it. */
interface Position {
  readonly kind: "behind" | "from";
  readonly key: string;
}

interface Asked {
  readonly range: KeyRange;
  readonly position: Position;
  /** Most entities. */
  readonly limit: number;
  readonly values: boolean;
}

export async function listPage(
  calls: Calls,
  { range, after, limit, values }: ListRequest,
  how: How,
): Promise<ListPage> {
  const rows: ListedRow[] = [];
  const first = positionOf(range, after);
  let position = first;
  let bytes = 0;
  for (let queries = 0; queries < QUERIES_MAX && bytes < LIST_BYTES_MAX; queries++) {
    // One more than there is room for tells whether there are more.
    const asked = Math.min(values ? VALUES_MAX : ENTITIES_MAX, limit - rows.length + 1);
    const { entities, isLast } = await ask(calls, { range, position, limit: asked, values }, how);
    const before = position;
    let hasJumped = false;
    for (const entity of entities) {
      if (rows.length === limit || bytes >= LIST_BYTES_MAX) return { rows, next: textOf(position) };
      const key = nameOf(calls.layout, entity.entity?.key);
      // Entities of the kind that have a parent stand behind its name, and a number before all names: they are no rows.
      if (key === null) continue;
      position = behind(range, key);
      hasJumped = position.kind === "from";
      if (hasJumped) break;
      // An entity that somebody else wrote without a value is no row; a query of keys cannot tell.
      if (values && !isOurs(entity)) continue;
      const found = values ? foundOf(entity) : null;
      rows.push({ key, found });
      bytes += found?.bytes.length ?? 0;
    }
    if (isLast && !hasJumped) return { rows, next: null };
    // An answer may be cut even before its first entity; the next query has more time.
    if (position === before && entities.length > 0) throw new StoreError("corrupt", STUCK);
  }
  if (position === first) throw new StoreError("unavailable", CUT);
  return { rows, next: textOf(position) };
}

async function ask(
  calls: Calls,
  { range, position, limit, values }: Asked,
  how: How,
): Promise<{ readonly entities: readonly EntityResult[]; readonly isLast: boolean }> {
  const { entityResults, moreResults } = await calls.query(
    {
      projection: values ? [] : [{ property: PROPERTY }],
      kind: [{ name: calls.layout.kind }],
      filter: filterOf(calls.layout, range, position),
      order: [{ property: PROPERTY, direction: PropertyOrder_Direction.ASCENDING }],
      limit: { value: limit },
    },
    how,
  );
  // An answer may be short because it would have been too large, and not because it is the last.
  const isCut = moreResults === QueryResultBatch_MoreResultsType.NOT_FINISHED;
  return { entities: entityResults, isLast: !isCut && entityResults.length < limit };
}

function filterOf(layout: Layout, { start }: KeyRange, { kind, key }: Position): Filter | undefined {
  const end = endOfBeginning(start);
  const { GREATER_THAN, GREATER_THAN_OR_EQUAL, LESS_THAN } = PropertyFilter_Operator;
  const filters: Filter[] = [];
  if (key !== "") filters.push(compared(layout, kind === "behind" ? GREATER_THAN : GREATER_THAN_OR_EQUAL, key));
  if (end !== null) filters.push(compared(layout, LESS_THAN, end));
  if (filters.length < 2) return filters[0];
  return { filterType: { $case: "compositeFilter", compositeFilter: { op: CompositeFilter_Operator.AND, filters } } };
}

function compared(layout: Layout, op: PropertyFilter_Operator, key: string): Filter {
  const value = {
    valueType: { $case: "keyValue", keyValue: keyOf(layout, key) },
    excludeFromIndexes: false,
  } as const;
  return { filterType: { $case: "propertyFilter", propertyFilter: { property: PROPERTY, op, value } } };
}

/** Behind a row: behind all of a subtree where the row is one of it. */
function behind(range: KeyRange, key: string): Position {
  if (isInRange(range, key)) return { kind: "behind", key };
  const bars = key.indexOf("||", range.scope.length);
  return { kind: "from", key: endOfBeginning(key.slice(0, bars + 2)) ?? "" };
}

const LETTERS = { b: "behind", f: "from" } as const;

function textOf({ kind, key }: Position): string {
  return `${kind === "behind" ? "b" : "f"}${key}`;
}

/** Any text may come in as a position; one that is no place within the range is refused. */
function positionOf({ start }: KeyRange, after: string | null): Position {
  if (!start.isWellFormed()) throw new StoreError("refused", "the range begins with half a surrogate pair");
  if (after === null) return { kind: "from", key: start };
  const [letter, key] = [after.slice(0, 1), after.slice(1)];
  const kind = letter === "b" || letter === "f" ? LETTERS[letter] : null;
  if (kind === null || !key.startsWith(start) || !isName(key))
    throw new StoreError("refused", "the position of the page is none of this range");
  return { kind, key };
}
