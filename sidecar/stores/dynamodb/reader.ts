// Reads the items of many keys in batches, and one by one where the caller's policy allows no batches. Knows nothing of
// what is in an item besides its key.
import { BatchGetItemCommand, GetItemCommand } from "@aws-sdk/client-dynamodb";
import type { Log } from "#kit/log.ts";
import type { Call } from "../store.ts";
import type { Client } from "./client.ts";
import { DynamoError, type Sent, throttledError } from "./failures.ts";
import type { Item, Layout } from "./layout.ts";

export interface ReaderParts {
  readonly client: Client;
  readonly layout: Layout;
  readonly sent: Sent;
  readonly log: Log;
}

/** DynamoDB's limit for one request. */
const BATCH_KEYS_MAX = 100;
/** So many items of 400 KB fit into an answer of 16 MB: where it has fewer and leaves some, the table is throttled. */
const ANSWER_ITEMS_MIN = 40;

export class Reader {
  readonly #parts: ReaderParts;
  #mayBatch = true;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /** The item under a key; undefined where there is none. */
  async one(key: string, strong: boolean, call: Call): Promise<Item | undefined> {
    const { client, layout, sent } = this.#parts;
    const input = { TableName: sent.table, Key: layout.keyOf(key), ConsistentRead: strong };
    const { Item } = await client.run(
      (sdk, abortSignal) => sdk.send(new GetItemCommand(input), { abortSignal }),
      sent,
      call,
    );
    return Item;
  }

  /** The items under these keys, by key; `keys` may repeat themselves. */
  async many(keys: readonly string[], strong: boolean, call: Call): Promise<ReadonlyMap<string, Item>> {
    const items = new Map<string, Item>();
    const waiting = [...new Set(keys)];
    let throttled = 0;
    while (waiting.length > 0) {
      const asked = waiting.splice(0, BATCH_KEYS_MAX);
      if (!this.#mayBatch) {
        await this.#each(asked, strong, call, items);
        continue;
      }
      try {
        const left = await this.#batch(asked, strong, call, items);
        waiting.push(...left);
        if (left.length > 0 && asked.length - left.length < ANSWER_ITEMS_MIN)
          await this.#parts.client.pause(++throttled, this.#parts.sent, call);
      } catch (error) {
        if (!(error instanceof DynamoError) || !error.denied) throw error;
        await this.#each(asked, strong, call, items);
        // Only now it is known that the right to batches is what lacks, and not all rights.
        this.#giveUpBatches();
      }
    }
    return items;
  }

  /** Gives the keys that the service has left for another request: beyond 16 MB, or beyond the table's capacity. */
  async #batch(
    asked: readonly string[],
    strong: boolean,
    call: Call,
    items: Map<string, Item>,
  ): Promise<readonly string[]> {
    const { client, layout, sent } = this.#parts;
    const input = {
      RequestItems: { [sent.table]: { Keys: asked.map((key) => layout.keyOf(key)), ConsistentRead: strong } },
    };
    const { Responses, UnprocessedKeys } = await client.run(
      async (sdk, abortSignal) => {
        const answer = await sdk.send(new BatchGetItemCommand(input), { abortSignal });
        // A refusal of all is what a single read calls throttling, and waits as long.
        if (leftIn(answer.UnprocessedKeys).length === asked.length) throw throttledError(sent);
        return answer;
      },
      sent,
      call,
    );
    for (const item of Object.values(Responses ?? {}).flat()) items.set(layout.keyIn(item), item);
    return leftIn(UnprocessedKeys).map((key) => layout.keyIn(key));
  }

  /** Dapr reads key by key, so a policy that was made for it may lack this right. */
  #giveUpBatches(): void {
    const { log, sent } = this.#parts;
    if (this.#mayBatch) log.warn("no right to dynamodb:BatchGetItem: bulk reads go key by key", { table: sent.table });
    this.#mayBatch = false;
  }

  async #each(asked: readonly string[], strong: boolean, call: Call, items: Map<string, Item>): Promise<void> {
    const found = await Promise.all(asked.map((key) => this.one(key, strong, call)));
    for (const [index, item] of found.entries()) if (item !== undefined) items.set(asked[index] ?? "", item);
  }
}

/** By table name, or by its ARN; there is one table in the request. */
function leftIn(unprocessed: Readonly<Record<string, { Keys?: readonly Item[] | undefined }>> = {}): readonly Item[] {
  return Object.values(unprocessed).flatMap(({ Keys = [] }) => Keys);
}
