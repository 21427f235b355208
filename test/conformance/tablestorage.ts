// The subjects of state.azure.tablestorage: an Azurite, which can be killed, started again and stopped in the middle, and a
// table of the account that the environment names.
import { randomUUID } from "node:crypto";
import { driver } from "#sidecar/stores/tablestorage/tablestorage.ts";
import {
  type AzureAccount,
  azureService,
  azureServiceMissing,
  azuriteMissing,
  startAzurite,
} from "#test/servers/azurite.ts";
import { type Declaration, ownServer, properties, type Subject } from "./subject.ts";
import { azuriteTold } from "./told.ts";

const declares: Declaration = {
  features: { etag: true, transactions: true, ttl: false, list: true },
  limits: { valueBytesMax: 32 * 1024, keyBytesMax: 6146, operationsMax: 100, ttlSecMin: 1 },
  traits: {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: 1,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
  },
};

function settingsOf(
  { account, key, tableEndpoint }: AzureAccount,
  tableName: string,
): Readonly<Record<string, string>> {
  return { accountName: account, accountKey: key, tableName, serviceURL: tableEndpoint };
}

/** A RowKey of as many characters as the service takes. */
const longestKey = (beginning: string): string => beginning.padEnd(beginning.indexOf("||") + 2 + 1024, "あ");

const SHORT_KEYS = "Azurite 3.37 takes no RowKey of more than 512 characters, the service 1024";

export const tableAzurite: Subject = {
  name: "state.azure.tablestorage, Azurite",
  driver,
  declares,
  longestKey,
  server: "pause",
  skip: azuriteMissing(),
  excepted: {
    "takes long keys whole": SHORT_KEYS,
    "refuses a key that is one letter too long, and writes nothing": SHORT_KEYS,
  },
  async start() {
    const azurite = await startAzurite();
    const restart = async (): Promise<void> => {
      await azurite.restart();
      // It comes back empty, which the service never does.
      await azurite.table("state").createTable();
    };
    return ownServer({ ...azurite, restart }, settingsOf(azurite, "state"), () => azuriteTold(azurite));
  },
};

export const tableService: Subject = {
  name: "state.azure.tablestorage, Azure",
  driver,
  declares,
  longestKey,
  server: "none",
  skip: azureServiceMissing(),
  async start() {
    const account = azureService();
    const name = `pannier${randomUUID().replaceAll("-", "")}`;
    const stop = async (): Promise<void> => void (await account.table(name).deleteTable());
    return { properties: properties(settingsOf(account, name)), server: null, stop };
  },
};
