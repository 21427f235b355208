// The Store of state.aws.dynamodb: calls become requests to one table. What differs from Dapr on purpose is in
// docs/stores/aws.dynamodb.md.
import {
  DeleteItemCommand,
  PutItemCommand,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { Call, Change, Features, Found, Limits, Read, Removal, Store, Traits, Write } from "../store.ts";
import { StoreError } from "../store.ts";
import type { Client } from "./client.ts";
import type { Sent } from "./failures.ts";
import {
  type Condition,
  conflictText,
  type Expression,
  type Item,
  KEY_BYTES_MAX,
  keyRefusal,
  type Layout,
} from "./layout.ts";
import { Reader } from "./reader.ts";
import { conditionOf, stepsOf } from "./transaction.ts";

export interface DynamoStoreParts {
  readonly client: Client;
  readonly layout: Layout;
  readonly table: string;
  readonly partitionKey: string;
  /** "at localhost:8000", "in eu-central-1". */
  readonly place: string;
  readonly random: Random;
  readonly log: Log;
}

/** DynamoDB's limit for one request. */
const TRANSACTION_MAX = 100;

export class DynamoStore implements Store {
  readonly features: Features;
  readonly limits: Limits;
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: 1000,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
    strongRead: "the read sees every write answered before it, for twice the capacity; others may be a moment behind",
    strongWrite: "every write is answered when it is on disks in several zones of the region",
  };
  readonly capabilities: readonly string[];
  readonly defaultTtlSec = null;
  readonly #parts: DynamoStoreParts;
  readonly #reader: Reader;

  constructor(parts: DynamoStoreParts) {
    this.#parts = parts;
    const { client, layout, log } = parts;
    this.#reader = new Reader({ client, layout, log, sent: this.#sent("read") });
    this.features = { etag: true, transactions: true, ttl: layout.hasExpiry, list: false };
    this.capabilities = layout.hasExpiry ? ["ETAG", "TRANSACTIONAL", "TTL"] : ["ETAG", "TRANSACTIONAL"];
    this.limits = {
      valueBytesMax: layout.valueBytesMax,
      keyBytesMax: KEY_BYTES_MAX,
      operationsMax: TRANSACTION_MAX,
      ttlSecMin: 1,
    };
  }

  async get(key: string, { strong }: Read, call: Call): Promise<Found | null> {
    const item = await this.#reader.one(key, strong, call);
    return item === undefined ? null : this.#parts.layout.foundIn(item);
  }

  async set(write: Write, call: Call): Promise<void> {
    const condition = conditionOf({ kind: "upsert", write }, "");
    const input = this.#putOf(write, condition);
    await this.#parts.client.run(
      (sdk, abortSignal) => sdk.send(new PutItemCommand(input), { abortSignal }),
      this.#sent("write", [condition]),
      call,
    );
  }

  async remove(removal: Removal, call: Call): Promise<void> {
    const condition = conditionOf({ kind: "delete", removal }, "");
    const input = this.#deletionOf(removal, condition);
    await this.#parts.client.run(
      (sdk, abortSignal) => sdk.send(new DeleteItemCommand(input), { abortSignal }),
      this.#sent("write", [condition]),
      call,
    );
  }

  async getMany(
    keys: readonly string[],
    { strong }: Read,
    call: Call,
  ): Promise<readonly (Found | null | StoreError)[]> {
    const refusals = new Map(keys.map((key) => [key, keyRefusal(key)]));
    const takeable = keys.filter((key) => refusals.get(key) === null);
    const items = await this.#reader.many(takeable, strong, call);
    return keys.map((key) => refusals.get(key) ?? this.#foundOrError(items.get(key)));
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    if (changes.length > TRANSACTION_MAX) {
      const text = `a transaction of ${changes.length} changes, DynamoDB takes at most ${TRANSACTION_MAX}`;
      throw new StoreError("refused", text);
    }
    const steps = stepsOf(changes);
    const TransactItems = steps.map(({ change, condition }): TransactWriteItem => {
      if (change.kind === "upsert") return { Put: this.#putOf(change.write, condition) };
      return { Delete: this.#deletionOf(change.removal, condition) };
    });
    // By its token the service knows the transaction again for ten minutes: sent twice, it is made once.
    const input = { TransactItems, ClientRequestToken: this.#parts.random.uuid() };
    const conditions = steps.map(({ condition }) => condition);
    await this.#parts.client.run(
      (sdk, abortSignal) => sdk.send(new TransactWriteItemsCommand(input), { abortSignal }),
      this.#sent("repeatable", conditions),
      call,
    );
  }

  /** Reads a key that nobody has, as Dapr does when it opens: it takes no right that a get does not take. */
  async ping(call: Call): Promise<void> {
    await this.#reader.one(this.#parts.random.uuid(), false, call);
  }

  async close(): Promise<void> {
    this.#parts.client.close();
  }

  #sent(effect: Sent["effect"], conditions: readonly (Condition | null)[] = []): Sent {
    const { place, table, partitionKey } = this.#parts;
    const conflicts = conditions.map((condition) => (condition === null ? "" : conflictText(condition)));
    return { place, table, partitionKey, effect, conflicts };
  }

  #putOf(write: Write, condition: Condition | null): { TableName: string; Item: Item } & Partial<Expression> {
    const { table, layout } = this.#parts;
    return { TableName: table, Item: layout.itemOf(write), ...this.#expressionOf(condition) };
  }

  #deletionOf({ key }: Removal, condition: Condition | null): { TableName: string; Key: Item } & Partial<Expression> {
    const { table, layout } = this.#parts;
    return { TableName: table, Key: layout.keyOf(key), ...this.#expressionOf(condition) };
  }

  #expressionOf(condition: Condition | null): Partial<Expression> {
    return condition === null ? {} : this.#parts.layout.expressionOf(condition);
  }

  #foundOrError(item: Item | undefined): Found | null | StoreError {
    if (item === undefined) return null;
    try {
      return this.#parts.layout.foundIn(item);
    } catch (error) {
      if (error instanceof StoreError) return error;
      throw error;
    }
  }
}
