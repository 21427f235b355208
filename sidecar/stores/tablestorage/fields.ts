// The metadata fields of state.azure.tablestorage as Dapr has them (components-contrib, state/azure/tablestorage) and what
// they mean together. Opens nothing.
import { type FieldTable, flag, pattern, text } from "#crds/fields.ts";
import { assert } from "#kit/assert.ts";
import type { Fault } from "#kit/fault.ts";
import { cloudOf } from "../azure/clouds.ts";
import { checkCloud, checkEntra, type EntraSettings, entraFields } from "../azure/entra-fields.ts";
import { readKey } from "../azure/shared-key.ts";

export interface TableSettings extends EntraSettings {
  readonly accountName: string;
  readonly accountKey: string;
  readonly tableName: string;
  readonly cosmosDbMode: boolean;
  readonly serviceURL: string;
  readonly skipCreateTable: boolean;
}

const PAGE = "docs/stores/azure.tablestorage.md";

export const fields: FieldTable<TableSettings> = {
  accountName: pattern({
    fallback: "",
    required: true,
    aliases: ["storageAccount", "storageAccountName"],
    shape: /^[a-z\d][a-z\d-]{1,42}[a-z\d]$/,
    want: "the name of an account: 3 to 44 lower-case letters and digits, and between them hyphens for Cosmos DB",
    doc: "Storage account, or account of Cosmos DB.",
  }),
  accountKey: text({
    fallback: "",
    secret: true,
    aliases: ["accessKey", "storageAccessKey", "storageAccountKey"],
    doc: "One of the account's keys; without it Entra ID signs in.",
  }),
  tableName: pattern({
    fallback: "",
    required: true,
    aliases: ["table", "storageAccountTable"],
    shape: /^[A-Za-z][A-Za-z\d]{2,62}$/,
    want: "3 to 63 ASCII letters and digits, the first one a letter",
    doc: "Table of the values. It is made when it is not there; Cosmos DB is told to at each opening, as by Dapr.",
  }),
  cosmosDbMode: flag({ fallback: false, doc: "The account is one of Cosmos DB with its API for tables." }),
  serviceURL: text({
    fallback: "",
    shownDefault: "the account's",
    doc: "Another address of the service, as it is: `http://127.0.0.1:10002/devstoreaccount1` for Azurite.",
  }),
  skipCreateTable: flag({ fallback: false, doc: "Never make the table." }),
  ...entraFields,
};

/** What is wrong between fields. */
export function check(settings: Readonly<TableSettings>): readonly Fault[] {
  const faults = [...checkCloud(settings, PAGE)];
  const fault = (field: string, got: string | null, want: string): void => {
    faults.push({ severity: "error", field, got, want, hint: `see ${PAGE}` });
  };
  const { accountKey, serviceURL } = settings;
  if (accountKey !== "" && readKey(accountKey) === null)
    fault("accountKey", null, "a key of the account, in base64 as the portal shows it");
  const given = serviceURL === "" ? null : URL.parse(serviceURL);
  const isAddress = given === null || (["http:", "https:"].includes(given.protocol) && given.username === "");
  if ((serviceURL !== "" && given === null) || !isAddress || given?.search)
    fault("serviceURL", null, 'an address as in "https://account.table.core.windows.net", without user and query');
  if (accountKey !== "") return faults;
  if (given?.protocol === "http:")
    fault("serviceURL", serviceURL, "https beside Entra ID, whose tokens open the account to whoever sees them");
  return [...faults, ...checkEntra(settings, PAGE)];
}

/** Where the account is. Only for settings without faults. */
export function baseOf({ serviceURL, accountName, cosmosDbMode, azureEnvironment }: Readonly<TableSettings>): URL {
  if (serviceURL !== "") return new URL(serviceURL);
  const cloud = cloudOf(azureEnvironment);
  assert(cloud !== null, "the settings were checked with the fields");
  return new URL(`https://${accountName}.table.${cosmosDbMode ? cloud.cosmosSuffix : cloud.storageSuffix}`);
}
