// state.mongodb: MongoDB 4.4 and later, and services that speak its protocol, in Dapr's layout (dapr-state-stores.md 12).
// This file opens it: settings into a client, a collection with its index, and a store.
import {
  type Collection,
  type Db,
  MongoClient,
  MongoServerError,
  type ReadConcernLike,
  type WriteConcernSettings,
} from "mongodb";
import type { Log } from "#kit/log.ts";
import { type Call, type Change, type OpenContext, type Store, type StoreDriver, storeDriver } from "../store.ts";
import { addressOf, check, packagesOf, serversOf } from "./address.ts";
import { Calls } from "./calls.ts";
import { fileWords } from "./connecting.ts";
import { abandonedError, failureOf, MongodbError } from "./failures.ts";
import { fields, type MongodbSettings } from "./fields.ts";
import { featuresOf, type Row } from "./layout.ts";
import { MongodbStore } from "./mongodb-store.ts";
import { ServerClock } from "./server-clock.ts";
import { apply, toBatch } from "./transaction.ts";
import { toFields } from "./writes.ts";

export const driver: StoreDriver = storeDriver<MongodbSettings>({
  type: "state.mongodb",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  packages: packagesOf,
  open,
});

/** How long a server waits for the others before it says that they have not followed; as long as Dapr lets it. */
const FOLLOW_MS = 5_000;

async function open(settings: Readonly<MongodbSettings>, context: OpenContext): Promise<Store> {
  const { uri, options } = addressOf(settings);
  const { signal } = context;
  if (signal.aborted) throw new MongodbError("timeout", "the time to open the Component was over before it began");
  const client = new MongoClient(uri, options);
  const server = serversOf(client);
  const leave = new AbortController();
  const left = new Promise<never>((_, reject) => {
    const abort = (): void => reject(abandonedError("left", server, false));
    signal.addEventListener("abort", abort, { once: true, signal: leave.signal });
  });
  const prepared = prepare(client, { settings, context, server });
  try {
    return await Promise.race([prepared, left]);
  } catch (error) {
    // One that gets ready all the same, when its time is over, has a clock to stop.
    prepared.then(
      (store) => store.close(),
      () => undefined,
    );
    await client.close();
    throw failureOf({ error, server, isWrite: false, repeated: false });
  } finally {
    leave.abort();
  }
}

interface Preparing {
  readonly settings: Readonly<MongodbSettings>;
  readonly context: OpenContext;
  readonly server: string;
}

async function prepare(client: MongoClient, { settings, context, server }: Preparing): Promise<Store> {
  const { clock, random, log } = context;
  await connect(client);
  const db = client.db(settings.databaseName);
  const hello = await askHello(client);
  await mustCompareBytes(db, settings.collectionName);
  const collection = db.collection<Row>(settings.collectionName, {
    writeConcern: concernOf(settings, client),
    ...(settings.readConcern === "" ? {} : { readConcern: { level: settings.readConcern } satisfies ReadConcernLike }),
  });
  await makeIndex(collection, log);
  const askTime = async (): Promise<number | null> => (await askHello(client)).timeMs;
  const { time, told } = await ServerClock.start(clock, askTime);
  if (!told) log.warn("the server does not tell its time, so values expire by the clock of this sidecar", { server });
  const timeoutMs = settings.operationTimeout;
  const calls = new Calls({ client, server, timeoutMs, sessions: hello.sessions, clock, random });
  const strongConcern = { w: "majority", journal: true, wtimeoutMS: FOLLOW_MS } as const;
  const parts = { client, collection, calls, time, strongConcern, clock, random };
  return hello.sessions ? new TransactionalMongodbStore(parts, featuresOf(true)) : new MongodbStore(parts);
}

/** The library reads the files of its options now, and says of one only what the system does. */
async function connect(client: MongoClient): Promise<void> {
  try {
    await client.connect();
  } catch (error) {
    const words = fileWords(error, client);
    throw words === null ? error : new MongodbError("unavailable", words);
  }
}

/** Dapr's: one server's journal unless the Component says more (dapr-state-stores.md 12a), here or in its connection string. */
function concernOf({ writeConcern }: Readonly<MongodbSettings>, { options }: MongoClient): WriteConcernSettings {
  const own = writeConcern === "" || writeConcern === "majority" ? writeConcern : Number(writeConcern);
  return { w: own === "" ? (options.writeConcern?.w ?? 1) : own, journal: true, wtimeoutMS: FOLLOW_MS };
}

interface Hello {
  /** A member of a replica set, or a router: it has transactions, and knows a write again that is sent twice. */
  readonly sessions: boolean;
  /** Milliseconds since 1970; null where it does not tell. */
  readonly timeMs: number | null;
}

const COMMAND_NOT_FOUND = 59;

async function askHello(client: MongoClient): Promise<Hello> {
  const admin = client.db("admin");
  const said = await admin.command({ hello: 1 }).catch((error: unknown) => {
    if (!(error instanceof MongoServerError) || error.code !== COMMAND_NOT_FOUND) throw error;
    // The command's name before MongoDB 5; some that speak the protocol know no other.
    return admin.command({ isMaster: 1 });
  });
  const isMember = typeof said.setName === "string" || said.msg === "isdbgrid";
  const { localTime } = said;
  return {
    sessions: isMember && typeof said.logicalSessionTimeoutMinutes === "number",
    timeMs: localTime instanceof Date ? localTime.getTime() : null,
  };
}

/** By another collation, keys that differ are one key, and a range is not one of beginnings. */
async function mustCompareBytes(db: Db, name: string): Promise<void> {
  const collections = await db
    .listCollections({ name }, { nameOnly: false })
    .toArray()
    .catch((error: unknown) => {
      // A user may be kept from asking; a collection of Dapr's or of ours has none.
      if (error instanceof MongoServerError) return [];
      throw error;
    });
  const collation = collections.find((each) => each.name === name)?.options?.collation;
  if (collation === undefined || collation.locale === "simple") return;
  throw new MongodbError(
    "unavailable",
    `collectionName: ${name} has the collation ${String(collation.locale)}, by which different keys are the same; name one without a collation`,
  );
}

/** With it the server removes documents whose time is over; they are not served either way. */
async function makeIndex(collection: Collection<Row>, log: Log): Promise<void> {
  try {
    await collection.createIndex({ _ttl: 1 }, { expireAfterSeconds: 0 });
  } catch (error) {
    // Azure Cosmos DB has such an index on its own time only, and a user may have no right to make one.
    if (!(error instanceof MongoServerError)) throw error;
    log.warn(
      "the server does not make the index by which it removes expired documents; they stay, and are not served",
      {
        collection: collection.collectionName,
        error: Number(error.code),
      },
    );
  }
}

/** A store on servers that have transactions. */
class TransactionalMongodbStore extends MongodbStore {
  async transact(changes: readonly Change[], call: Call): Promise<void> {
    const { calls } = this.parts;
    const batch = toBatch(changes, (change) => (change.kind === "delete" ? null : toFields(change.write, this.parts)));
    await calls.run({ isWrite: true, call, again: true, task: (attempt) => apply(this.parts, batch, attempt) });
  }
}
