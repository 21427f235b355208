// state.yugabytedb: YugabyteDB's YSQL in the layout of state.postgresql v2, which it speaks (dapr-state-stores.md 0.5, 4).
import { type StoreDriver, storeDriver } from "../store.ts";
import { type V2Settings, v2Fields } from "./fields.ts";
import { type Layout, v2Layout, withoutWalks } from "./layout.ts";
import { checkServer, openStore } from "./opening.ts";
import { YUGABYTEDB } from "./product.ts";
import { signInPackages } from "./sign-in-fields.ts";
import { v2Place } from "./v2-place.ts";

/** The table's primary key, as Dapr has it made, is spread by a hash there: a walk over keys would read the whole table. */
const layout: Layout = withoutWalks({
  ...v2Layout,
  traits: {
    ...v2Layout.traits,
    strongRead:
      "the same as any read: the leader of the key's tablet is asked, and shows all that were answered before",
    strongWrite: "most replicas of the key's tablet have it, as every write that is answered",
  },
});

export const driver: StoreDriver = storeDriver<V2Settings>({
  type: "state.yugabytedb",
  versions: ["v2"],
  defaultVersion: "v2",
  fields: v2Fields,
  check: (settings) => checkServer(settings, { stateTable: `${settings.tablePrefix}state`, field: "tablePrefix" }),
  packages: signInPackages,
  open: (settings, context) => openStore(settings, context, v2Place(settings, YUGABYTEDB, layout)),
});
