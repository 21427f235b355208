// state.azure.tablestorage: a table of Azure Storage or of Cosmos DB in Dapr's layout (dapr-state-stores.md 17). This file
// opens it: settings into a link and a store.
import { assert } from "#kit/assert.ts";
import { cloudOf } from "../azure/clouds.ts";
import { entraTokens } from "../azure/entra-tokens.ts";
import { readKey, tableSign } from "../azure/shared-key.ts";
import { type Identity, StorageLink } from "../azure/storage-link.ts";
import { type OpenContext, type Store, type StoreDriver, storeDriver } from "../store.ts";
import { baseOf, check, fields, type TableSettings } from "./fields.ts";
import { RowNames } from "./row-names.ts";
import { HEADERS, Table } from "./table.ts";
import { PING_KEY, TableStore } from "./table-store.ts";

export const driver: StoreDriver = storeDriver<TableSettings>({
  type: "state.azure.tablestorage",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  packages: ({ accountKey }) => (accountKey === "" ? [{ name: "@azure/identity", field: "accountKey" }] : []),
  open,
});

const STORAGE_SCOPE = "https://storage.azure.com/.default";
const COSMOS_SCOPE = "https://cosmos.azure.com/.default";
/** How often a request is sent again that the service was too busy for: as often as Dapr's client does. */
const RETRIES = 3;

async function open(settings: Readonly<TableSettings>, context: OpenContext): Promise<Store> {
  const { clock, random, signal } = context;
  const base = baseOf(settings);
  const identity = await identityOf(settings, context);
  const isCosmos = settings.cosmosDbMode;
  const service = isCosmos ? "Cosmos DB for Table" : "Azure Table Storage";
  const link = new StorageLink({ service, base, identity, headers: HEADERS, retries: RETRIES, clock, random });
  const table = new Table(link, base, settings.tableName);
  const names = new RowNames(isCosmos);
  try {
    // Cosmos DB may have one word for a row and for a table that is not there: asking for a row would not tell.
    const isThere = settings.skipCreateTable || (!isCosmos && (await table.exists(names.nameOf(PING_KEY), { signal })));
    if (!isThere) await table.create({ signal });
    const store = new TableStore({ link, table, names, isCosmos, random });
    await store.ping({ signal });
    return store;
  } catch (error) {
    link.close();
    throw error;
  }
}

async function identityOf(settings: Readonly<TableSettings>, { clock }: OpenContext): Promise<Identity> {
  const { accountName, accountKey, cosmosDbMode, azureEnvironment } = settings;
  const key = accountKey === "" ? null : readKey(accountKey);
  if (key !== null) return { kind: "key", sign: tableSign({ account: accountName, key }) };
  const cloud = cloudOf(azureEnvironment);
  assert(cloud !== null, "the settings were checked with the fields");
  const scope = cosmosDbMode ? COSMOS_SCOPE : STORAGE_SCOPE;
  return { kind: "tokens", tokens: await entraTokens(settings, { scope, cloud, clock }) };
}
