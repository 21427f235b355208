// state.etcd: a cluster of etcd 3.4 or later in either of Dapr's layouts (dapr-state-stores.md 13). This file opens it:
// settings into connections and a store.
import { assert } from "#kit/assert.ts";
import { type OpenContext, type Store, type StoreDriver, storeDriver, versionedDriver } from "../store.ts";
import { EtcdClient } from "./client.ts";
import { parseEndpoints } from "./endpoints.ts";
import { EtcdStore } from "./etcd-store.ts";
import { check, type EtcdSettings, fields } from "./fields.ts";
import { KeyNames, type Layout, v1Layout, v2Layout } from "./layout.ts";
import { Leases } from "./leases.ts";

export const driver: StoreDriver = versionedDriver(driverOf(v1Layout), driverOf(v2Layout));

function driverOf(layout: Layout): StoreDriver {
  return storeDriver<EtcdSettings>({
    type: "state.etcd",
    versions: [layout.version],
    defaultVersion: layout.version,
    fields,
    check,
    open: (settings, context) => open(settings, context, layout),
  });
}

async function open(settings: Readonly<EtcdSettings>, context: OpenContext, layout: Layout): Promise<Store> {
  const { clock, log, signal } = context;
  const { tlsEnable, ca, cert, key, username, password, maxTxnOps } = settings;
  const endpoints = parseEndpoints(settings.endpoints, tlsEnable);
  assert(!("want" in endpoints), "the settings were checked with the fields");
  const client = new EtcdClient({
    endpoints,
    tls: tlsEnable ? { ca, cert, key } : null,
    user: username === "" ? null : { name: username, password },
    clock,
    log,
  });
  const leases = new Leases(client, clock);
  const names = new KeyNames(settings.keyPrefixPath);
  try {
    const ttlSecMin = await leases.shortestSec({ signal });
    const store = new EtcdStore({ client, leases, layout, names, maxTxnOps, ttlSecMin, clock });
    await store.ping({ signal });
    client.opened();
    return store;
  } catch (error) {
    client.close();
    throw error;
  }
}
