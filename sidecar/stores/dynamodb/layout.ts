// Dapr's layout in DynamoDB (dapr-state-stores.md 10b): an item for each key, its attributes, its size, and the conditions
// on it. Sends nothing.
import { isUtf8 } from "node:buffer";
import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { assert } from "#kit/assert.ts";
import type { Clock } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import { type Found, StoreError, type Write } from "../store.ts";

export const VALUE = "value";
export const ETAG = "etag";

/** DynamoDB's limit for a hash key, and for an item with the names of its attributes. */
export const KEY_BYTES_MAX = 2048;
const ITEM_BYTES_MAX = 400 * 1024;
const ETAG_BYTES_MAX = 16;
/** Ten digits, two in a byte, and one byte for the number itself; rounded up. */
const EXPIRY_BYTES_MAX = 8;

export type Item = Record<string, AttributeValue>;

/** What must hold for an item before a write. */
export interface Condition {
  /** The live item must have this ETag; null: there must be no live item. */
  readonly etag: string | null;
  /** "change 2 of 3: ", or nothing for a change that is alone. */
  readonly place: string;
}

/** The members of a request that say so. */
export interface Expression {
  readonly ConditionExpression: string;
  readonly ExpressionAttributeNames: Record<string, string>;
  readonly ExpressionAttributeValues?: Record<string, AttributeValue>;
}

export interface LayoutParts {
  /** The name of the hash key. */
  readonly partitionKey: string;
  /** Null where values do not expire. */
  readonly ttlAttribute: string | null;
  readonly clock: Clock;
  readonly random: Random;
}

export class Layout {
  /** Values can expire. */
  readonly hasExpiry: boolean;
  /** Bytes of a value that fit beside a key of any length. */
  readonly valueBytesMax: number;
  readonly #parts: LayoutParts;

  constructor(parts: LayoutParts) {
    this.#parts = parts;
    this.hasExpiry = parts.ttlAttribute !== null;
    const names = [parts.partitionKey, VALUE, ETAG, parts.ttlAttribute ?? ""];
    const besides = Buffer.byteLength(names.join("")) + KEY_BYTES_MAX + ETAG_BYTES_MAX;
    this.valueBytesMax = ITEM_BYTES_MAX - besides - (this.hasExpiry ? EXPIRY_BYTES_MAX : 0);
  }

  /** Throws a StoreError of code `refused` for a key that no item can have. */
  keyOf(key: string): Item {
    const refusal = keyRefusal(key);
    if (refusal !== null) throw refusal;
    return { [this.#parts.partitionKey]: { S: key } };
  }

  /** The whole item that a write puts, under a new ETag. Throws a StoreError of code `refused` for what does not fit. */
  itemOf({ key, bytes, isJson, ttlSec }: Write): Item {
    const { ttlAttribute, random } = this.#parts;
    if (bytes.length > this.valueBytesMax) {
      const text = `the value has ${bytes.length} bytes, an item of DynamoDB keeps at most ${this.valueBytesMax}`;
      throw new StoreError("refused", text);
    }
    const item: Item = { ...this.keyOf(key), [VALUE]: attributeOf(bytes, isJson), [ETAG]: { S: newEtag(random) } };
    if (ttlSec === null) return item;
    assert(ttlAttribute !== null, "the core refuses a TTL where none is declared");
    // A second begun counts whole: a value may stay for up to a second too long, and never goes too early.
    item[ttlAttribute] = { N: String(Math.ceil(this.#parts.clock.nowMs() / 1000) + ttlSec) };
    return item;
  }

  /** The key of an item as BatchGetItem answers it. */
  keyIn(item: Item): string {
    return item[this.#parts.partitionKey]?.S ?? "";
  }

  /** Null for an item whose time is over. Throws a StoreError of code `corrupt` for what is no item of this layout. */
  foundIn(item: Item): Found | null {
    const expiresAtSec = this.#expiryIn(item);
    if (expiresAtSec !== null && expiresAtSec <= this.#nowSec()) return null;
    const value = item[VALUE];
    const bytes = value?.S === undefined ? value?.B : Buffer.from(value.S);
    if (bytes === undefined) throw corrupt(VALUE, "text or bytes");
    return {
      bytes,
      // Dapr's first releases wrote none.
      etag: item[ETAG]?.S ?? null,
      expiresAtMs: expiresAtSec === null ? null : expiresAtSec * 1000,
    };
  }

  /** An item whose time is over counts as none, as in reads, though DynamoDB may keep it for days. */
  expressionOf({ etag }: Condition): Expression {
    const { partitionKey, ttlAttribute } = this.#parts;
    const now = { ":now": { N: String(this.#nowSec()) } };
    if (etag === null) {
      const names = { "#key": partitionKey };
      if (ttlAttribute === null)
        return { ConditionExpression: "attribute_not_exists(#key)", ExpressionAttributeNames: names };
      return {
        ConditionExpression: "attribute_not_exists(#key) OR #ttl <= :now",
        ExpressionAttributeNames: { ...names, "#ttl": ttlAttribute },
        ExpressionAttributeValues: now,
      };
    }
    const [names, values] = [{ "#etag": ETAG }, { ":etag": { S: etag } }];
    if (ttlAttribute === null)
      return {
        ConditionExpression: "#etag = :etag",
        ExpressionAttributeNames: names,
        ExpressionAttributeValues: values,
      };
    return {
      ConditionExpression: "#etag = :etag AND (attribute_not_exists(#ttl) OR #ttl > :now)",
      ExpressionAttributeNames: { ...names, "#ttl": ttlAttribute },
      ExpressionAttributeValues: { ...values, ...now },
    };
  }

  #expiryIn(item: Item): number | null {
    const { ttlAttribute } = this.#parts;
    const expiry = ttlAttribute === null ? undefined : item[ttlAttribute];
    if (ttlAttribute === null || expiry === undefined) return null;
    const seconds = Number(expiry.N);
    if (Number.isNaN(seconds)) throw corrupt(ttlAttribute, "a number of seconds");
    return seconds;
  }

  #nowSec(): number {
    return Math.floor(this.#parts.clock.nowMs() / 1000);
  }
}

/** Why no item can have this key; null where one can. */
export function keyRefusal(key: string): StoreError | null {
  // In UTF-8 all halves are one and the same character, and two keys would be one item.
  if (!key.isWellFormed())
    return new StoreError("refused", "the key holds half a surrogate pair, which a text of DynamoDB cannot hold");
  if (Buffer.byteLength(key) <= KEY_BYTES_MAX) return null;
  return new StoreError("refused", `the key has more than the ${KEY_BYTES_MAX} bytes that DynamoDB takes`);
}

/** The error where a condition does not hold. */
export function conflictText({ etag, place }: Condition): string {
  if (etag === null) return `${place}item already exists and no etag was passed`;
  return `${place}the value has another etag than the one passed, or there is no value`;
}

/** JSON is kept as text, as Dapr keeps it; all else as bytes. */
function attributeOf(bytes: Uint8Array, isJson: boolean): AttributeValue {
  if (!isJson || !isUtf8(bytes)) return { B: bytes };
  return { S: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString() };
}

/** 64 random bits in hex without zeros before them, as Dapr writes them. */
function newEtag(random: Random): string {
  // Between the first and the last eight digits a UUID has some that are not random.
  const uuid = random.uuid();
  return BigInt(`0x${uuid.slice(0, 8)}${uuid.slice(-8)}`).toString(16);
}

function corrupt(attribute: string, want: string): StoreError {
  const text = `the item under the key is none of state.aws.dynamodb: want ${want} in its attribute ${attribute}`;
  return new StoreError("corrupt", text);
}
