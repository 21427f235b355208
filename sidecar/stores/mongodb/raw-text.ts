// Writes bytes that are no UTF-8 as a string of BSON, as Dapr does and its driver in Go can (dapr-state-stores.md 12b). The
// library encodes strings of JavaScript only, and has no public way for bytes, so one function of its inside is used.
import { BSON, type ClientSession, type Collection, type Document, MongoServerError } from "mongodb";
import { StoreError } from "../store.ts";
import type { Row } from "./layout.ts";

export interface RawUpdate {
  readonly filter: Document;
  readonly raw: Buffer;
  /** The other members of the document. */
  readonly rest: Omit<Row, "_id" | "value">;
  readonly upsert: boolean;
  /** As the command has it. */
  readonly writeConcern: Document | null;
  readonly session: ClientSession | undefined;
}

/** How many documents matched. Rejects with the library's errors; the library makes one attempt. */
export async function updateRaw(collection: Collection<Row>, update: RawUpdate): Promise<number> {
  const { filter, raw, rest, upsert, writeConcern, session } = update;
  // Only when it is needed: another version of the library may do without it, and should not break the rest.
  // @ts-expect-error the file has no declarations
  const inside: { makeDocumentSequence?: unknown } = await import("mongodb/lib/cmap/commands.js");
  const { makeDocumentSequence } = inside;
  if (typeof makeDocumentSequence !== "function")
    throw new StoreError("refused", "this version of the package mongodb writes no bytes that are not UTF-8");
  const statement = encodeStatement({ u: { $set: { value: new BSON.Binary(raw), ...rest } }, q: filter, upsert });
  const answer = await collection.db.command(
    {
      update: collection.collectionName,
      updates: makeDocumentSequence("updates", [{}], [statement]),
      ordered: true,
      ...(writeConcern === null ? {} : { writeConcern }),
    },
    session === undefined ? {} : { session },
  );
  const [failed] = Array.isArray(answer.writeErrors) ? answer.writeErrors : [];
  if (failed !== undefined) throw new MongoServerError(failed);
  const upserted = Array.isArray(answer.upserted) ? answer.upserted.length : 0;
  return Number(answer.n) - upserted;
}

/** Where `u.$set.value` begins in the statement: three lengths of documents, and the types and names of two. */
const VALUE_AT = 4 + 3 + 4 + 6 + 4;
const HEADER = "value\0".length + 1;
const BINARY = 0x05;
const STRING = 0x02;

/**
 * Binary data and a string take the same room: a type, a length and a kind before the bytes, or a type, a length that
 * counts one more, and a NUL behind them. So the one is turned into the other in place.
 */
function encodeStatement(statement: Document): Uint8Array {
  const bytes = Buffer.from(BSON.serialize(statement));
  const lengthAt = VALUE_AT + HEADER;
  if (bytes[VALUE_AT] !== BINARY) throw new StoreError("failed", "the statement is not laid out as it has to be");
  const length = bytes.readInt32LE(lengthAt);
  bytes[VALUE_AT] = STRING;
  bytes.writeInt32LE(length + 1, lengthAt);
  bytes.copyWithin(lengthAt + 4, lengthAt + 5, lengthAt + 5 + length);
  bytes[lengthAt + 4 + length] = 0;
  return bytes;
}
