// state.cassandra: a table of Apache Cassandra in Dapr's layout (dapr-state-stores.md 11). This file opens it: settings into
// a client, a table and a store.
import { assert } from "#kit/assert.ts";
import { type OpenContext, type Store, type StoreDriver, storeDriver } from "../store.ts";
import { CassandraStore } from "./cassandra-store.ts";
import { CassandraClient } from "./client.ts";
import { type CassandraSettings, check, fields } from "./fields.ts";
import { parseHosts } from "./hosts.ts";
import { Levels } from "./levels.ts";
import { ensureSchema, mutationBytesMax } from "./schema.ts";
import { nameOf } from "./statements.ts";

export const driver: StoreDriver = storeDriver<CassandraSettings>({
  type: "state.cassandra",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  foresee: ({ etags }) => ({ lacks: etags ? ["transactions"] : ["etag", "transactions"], bareKeysBy: null }),
  open,
});

async function open(settings: Readonly<CassandraSettings>, context: OpenContext): Promise<Store> {
  const { etags, replicationFactor, consistency } = settings;
  const { signal, random } = context;
  const client = clientOf(settings, context);
  const place = { keyspace: nameOf(settings.keyspace), table: nameOf(settings.table) };
  try {
    await client.connect(signal);
    await ensureSchema(client, { ...place, replicationFactor, etags }, signal);
    const levels = new Levels(consistency, etags);
    const bytesMax = etags ? await mutationBytesMax(client, signal) : null;
    return new CassandraStore({ client, place, levels, etags, mutationBytesMax: bytesMax, random });
  } catch (error) {
    // Not waited for: a client that is still connecting has its own times for that.
    void client.close();
    throw error;
  }
}

function clientOf(settings: Readonly<CassandraSettings>, { clock, log }: OpenContext): CassandraClient {
  const { port, protoVersion, username, password, enableHostVerification, ca, cert, key, localDataCenter } = settings;
  const hosts = parseHosts(settings.hosts, port);
  assert(!("want" in hosts), "the settings were checked with the fields");
  return new CassandraClient({
    hosts,
    port,
    protoVersion,
    user: username === "" || password === "" ? null : { name: username, password },
    tls: enableHostVerification ? { ca, cert, key } : null,
    localDataCenter,
    clock,
    log,
  });
}
