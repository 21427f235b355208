// Changes as one transactional batch of Cosmos DB: for each key the change that stands at the end, under all conditions
// that its changes have. The server runs a batch step by step, so conditions have to be gathered to be compared with the
// state before the first change. Knows no connection.
import { type Change, StoreError } from "../store.ts";
import { isEtag, mismatch } from "./conditions.ts";
import { DOCUMENT_BYTES_MAX, idOf, type Layout, partitionOf, toDocument, toPlaceholder } from "./layout.ts";

/** Of the service, and so of Dapr (9c). */
export const OPERATIONS_MAX = 100;

/** One step of a batch, as JSON text, and what it is for. */
export interface Step {
  readonly json: string;
  readonly plan: KeyPlan;
}

export interface Batch {
  readonly steps: readonly Step[];
  /** JSON text. */
  readonly body: string;
}

/** What all changes of one key come to. */
export interface KeyPlan {
  readonly id: string;
  readonly last: Change;
  /** The ETag that the document must have; null for none in particular. */
  readonly etag: string | null;
  /** There must be no document. */
  readonly absent: boolean;
  /** "change 2 of 3: " of the change that brought the condition. */
  readonly place: string;
}

export interface BatchOptions {
  readonly layout: Layout;
  /** A delete without a condition may find nothing: it is then sent behind a step that makes something to delete. */
  readonly deletesMayMiss: boolean;
}

/** The keys of all changes in their order, planned. Throws etag-mismatch for conditions that no state can meet. */
export function planOf(changes: readonly Change[]): readonly KeyPlan[] {
  const plans = new Map<string, KeyPlan>();
  for (const [index, change] of changes.entries()) {
    const { key, etag, firstWrite } = change.kind === "upsert" ? change.write : change.removal;
    const place = `change ${index + 1} of ${changes.length}: `;
    if (etag !== null && !isEtag(etag)) throw mismatch(place);
    const before = plans.get(key);
    const absent = etag === null && firstWrite;
    if (etag !== null && (before?.absent === true || (before?.etag ?? etag) !== etag)) throw mismatch(place);
    if (absent && (before?.etag ?? null) !== null) throw mismatch(place);
    plans.set(key, {
      id: idOf(key),
      last: change,
      etag: etag ?? before?.etag ?? null,
      absent: absent || (before?.absent ?? false),
      place: etag !== null || absent ? place : (before?.place ?? place),
    });
  }
  return [...plans.values()];
}

/** The partition of all changes. Throws a StoreError of code `refused` when they do not lie in one. */
export function commonPartition(changes: readonly Change[]): string {
  const partitions = new Set(
    changes.map((change) => {
      const { key, metadata } = change.kind === "upsert" ? change.write : change.removal;
      return partitionOf(key, metadata);
    }),
  );
  const [partition = ""] = partitions;
  if (partitions.size <= 1) return partition;
  throw new StoreError(
    "refused",
    "the keys of the transaction lie in different partitions, and Cosmos DB applies changes together only within one; give all of its operations, and all later calls for these keys, the same metadata partitionKey",
  );
}

/** Throws a StoreError of code `refused` for a batch that the service does not take. */
export function toBatch(partition: string, plans: readonly KeyPlan[], options: BatchOptions): Batch {
  const steps = plans.flatMap((plan) => stepsOf(plan, partition, options));
  if (steps.length > OPERATIONS_MAX)
    throw new StoreError(
      "refused",
      `the transaction takes ${steps.length} operations of Cosmos DB, want at most ${OPERATIONS_MAX}: a delete of what is not there counts as two`,
    );
  const body = `[${steps.map(({ json }) => json).join(",")}]`;
  if (Buffer.byteLength(body) <= DOCUMENT_BYTES_MAX) return { steps, body };
  throw new StoreError(
    "refused",
    `the changes have more than ${DOCUMENT_BYTES_MAX} bytes together, the most of a transaction of Cosmos DB`,
  );
}

function stepsOf(plan: KeyPlan, partition: string, { layout, deletesMayMiss }: BatchOptions): readonly Step[] {
  const id = JSON.stringify(plan.id);
  const ifMatch = plan.etag === null ? "" : `,"ifMatch":${JSON.stringify(plan.etag)}`;
  if (plan.last.kind === "upsert") {
    const document = toDocument(plan.last.write, layout);
    if (plan.etag !== null)
      return [{ plan, json: `{"operationType":"Replace","id":${id},"resourceBody":${document}${ifMatch}}` }];
    return [{ plan, json: `{"operationType":"${plan.absent ? "Create" : "Upsert"}","resourceBody":${document}}` }];
  }
  const removal: Step = { plan, json: `{"operationType":"Delete","id":${id}${ifMatch}}` };
  if (plan.etag !== null || (!plan.absent && !deletesMayMiss)) return [removal];
  const placeholder = toPlaceholder(plan.id, partition);
  return [
    { plan, json: `{"operationType":"${plan.absent ? "Create" : "Upsert"}","resourceBody":${placeholder}}` },
    removal,
  ];
}
