// One document changed: the update and the delete that a write comes to, within a transaction and alone. Classic updates
// by operators, never by pipelines: those read strings that begin with $ as expressions, and few services have them.
import type { ClientSession, Collection, Document, WriteConcernSettings } from "mongodb";
import type { Random } from "#kit/random.ts";
import type { Write } from "../store.ts";
import { type Row, type Stored, toStored } from "./layout.ts";
import { updateRaw } from "./raw-text.ts";
import type { ServerClock } from "./server-clock.ts";

/** The members of a document that a write sets. */
export type Fields = { readonly stored: Stored } & Omit<Row, "_id" | "value">;

/** Throws a StoreError of code `refused`. */
export function toFields(write: Write, { random, time }: { random: Random; time: ServerClock }): Fields {
  const { ttlSec } = write;
  // The latest that it can be there: a value never goes early.
  const ttl = ttlSec === null ? null : new Date(time.latestMs() + ttlSec * 1000);
  return { stored: toStored(write), _etag: random.uuid(), _ttl: ttl };
}

export interface Update {
  readonly filter: Document;
  readonly fields: Fields;
  readonly upsert: boolean;
  readonly session: ClientSession | undefined;
  /** Null: that of the collection, or of the transaction. */
  readonly writeConcern: WriteConcernSettings | null;
}

/** How many documents matched. Rejects with the library's errors, DuplicateKey where an upsert found none and one is there. */
export async function update(
  collection: Collection<Row>,
  { filter, fields, upsert, session, writeConcern }: Update,
): Promise<number> {
  const { stored, ...rest } = fields;
  if ("raw" in stored) {
    const settings = writeConcern ?? (session?.inTransaction() === true ? null : (collection.writeConcern ?? null));
    const concern = settings === null ? null : commandConcern(settings);
    return updateRaw(collection, { filter, raw: stored.raw, rest, upsert, writeConcern: concern, session });
  }
  const options = { upsert, ...optional(session, writeConcern) };
  const { matchedCount } = await collection.updateOne(filter, { $set: { value: stored.value, ...rest } }, options);
  return matchedCount;
}

/** Options that are there or not, as the library wants them. */
export function optional(
  session: ClientSession | undefined,
  writeConcern: WriteConcernSettings | null,
): { session?: ClientSession; writeConcern?: WriteConcernSettings } {
  return { ...(session === undefined ? {} : { session }), ...(writeConcern === null ? {} : { writeConcern }) };
}

/** As commands spell it. */
function commandConcern({ w, journal, wtimeoutMS }: WriteConcernSettings): Document {
  return { w: w ?? 1, j: journal ?? true, ...(wtimeoutMS === undefined ? {} : { wtimeout: wtimeoutMS }) };
}

/** A live document: without a time at which it goes, or before it. */
export function live(time: ServerClock): Document {
  return { $or: [{ _ttl: null }, { _ttl: { $gt: new Date(time.earliestMs()) } }] };
}

/** A document whose time is over, and that the server has not removed yet. */
export function over(time: ServerClock): Document {
  return { _ttl: { $lte: new Date(time.earliestMs()) } };
}
