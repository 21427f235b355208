// What the tests of the DynamoDB driver share: a store opened as the sidecar opens it, one server per describe, and
// Amazon's own client as the second one.
import { type AttributeValue, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { type Clock, systemClock } from "#kit/clock.ts";
import { driver } from "#sidecar/stores/dynamodb/dynamodb.ts";
import type { PreparedStore, Read, Store } from "#sidecar/stores/store.ts";
import { type DynamoServer, KEYS, REGION, startDynamo, TTL_ATTRIBUTE } from "#test/servers/dynamodb.ts";
import { DynamoFront } from "#test/servers/dynamodb-front.ts";
import { forAllTests, keeping, type OneServer } from "#test/stores/bench.ts";
import { decode, type Fields, type Opening, open as openPrepared } from "#test/stores/opening.ts";
import { textOf as textBy } from "#test/stores/requests.ts";

export { listeningLog } from "#test/stores/opening.ts";
export * from "#test/stores/requests.ts";

export const read: Read = { strong: true, metadata: {} };

export type RawItem = Record<string, AttributeValue>;

export function prepare(given: Fields): PreparedStore {
  return decode(driver, given);
}

export function openStore(given: Fields, opening: Opening = {}): Promise<Store> {
  return openPrepared(prepare(given), opening);
}

/** The system's clock, so many seconds ahead. */
export function ahead(seconds: number): Clock {
  return { ...systemClock, nowMs: () => systemClock.nowMs() + seconds * 1000 };
}

/** The value as text, read strongly, or null when there is none. */
export function textOf(store: Store, key: string): Promise<string | null> {
  return textBy(store, key, read);
}

export interface Bench extends OneServer<DynamoServer> {
  /** Made anew for each describe. */
  table(): string;
  /** Metadata for the table; `more` wins. */
  metadata(more?: Fields): Fields;
  /** A store on the table; closed after the test. */
  open(more?: Fields, opening?: Opening): Promise<Store>;
  /** An HTTP front before the server, and a store that goes through it; both are ended after the test. */
  openThroughFront(more?: Fields, opening?: Opening): Promise<{ front: DynamoFront; store: Store }>;
  /** The item under a key, as it lies there. */
  rawGet(key: string): Promise<RawItem | null>;
  rawPut(item: RawItem): Promise<void>;
}

/** One server for a describe. Call it directly inside. */
export function onOneServer(): Bench {
  const both = forAllTests(async (keep) => {
    const server = await startDynamo();
    keep(server, () => server.stop());
    return { server, table: await server.createTable() };
  });
  const { keep } = keeping();
  const server = (): DynamoServer => both().server;
  const table = (): string => both().table;
  const metadata = (more: Fields = {}): Fields => {
    const { endpoint } = server();
    return { table: table(), region: REGION, endpoint, ...KEYS, ttlAttributeName: TTL_ATTRIBUTE, ...more };
  };
  const open = async (more: Fields = {}, opening: Opening = {}): Promise<Store> => {
    const store = await openStore(metadata(more), opening);
    return keep(store, () => store.close());
  };
  return {
    server,
    keep,
    table,
    metadata,
    open,
    openThroughFront: async (more = {}, opening = {}) => {
      const started = await DynamoFront.start(server());
      const front = keep(started, () => started.stop());
      return { front, store: await open({ endpoint: front.endpoint, ...more }, opening) };
    },
    rawGet: async (key) => {
      const input = { TableName: table(), Key: { key: { S: key } }, ConsistentRead: true };
      return (await server().sdk.send(new GetItemCommand(input))).Item ?? null;
    },
    rawPut: async (item) => {
      await server().sdk.send(new PutItemCommand({ TableName: table(), Item: item }));
    },
  };
}
