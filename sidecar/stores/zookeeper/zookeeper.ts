// state.zookeeper: an ensemble of ZooKeeper 3.5 or later in Dapr's layout (dapr-state-stores.md 17). This file opens it:
// settings into a session and a store.
import { assert } from "#kit/assert.ts";
import { type OpenContext, type Store, type StoreDriver, storeDriver } from "../store.ts";
import { check, fields, requestBytesOf, type ZooKeeperSettings } from "./fields.ts";
import { Paths } from "./paths.ts";
import { parseServers } from "./servers.ts";
import { Session } from "./session.ts";
import { ZooKeeperStore } from "./zookeeper-store.ts";

export const driver: StoreDriver = storeDriver<ZooKeeperSettings>({
  type: "state.zookeeper",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  open,
});

async function open(settings: Readonly<ZooKeeperSettings>, context: OpenContext): Promise<Store> {
  const servers = parseServers(settings.servers);
  assert(!("want" in servers), "the settings were checked with the fields");
  const { clock, random, log, signal } = context;
  const session = new Session({ servers, timeoutMs: settings.sessionTimeout, clock, random, log });
  const paths = new Paths(settings.keyPrefixPath);
  const store = new ZooKeeperStore({ session, paths, requestBytesMax: requestBytesOf(settings) });
  try {
    await store.ping({ signal });
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}
