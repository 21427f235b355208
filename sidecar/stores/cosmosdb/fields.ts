// The metadata fields of state.azure.cosmosdb (dapr-state-stores.md 9a, 0.6) and what they mean together. Knows no
// connection.
import { type FieldTable, flag, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { checkCloud, checkEntra, type EntraSettings, entraFields } from "../azure/entra-fields.ts";

export interface CosmosSettings extends EntraSettings {
  readonly url: string;
  readonly masterKey: string;
  readonly database: string;
  readonly collection: string;
  readonly contentType: string;
  readonly lossyValues: boolean;
}

const PAGE = "docs/stores/azure.cosmosdb.md";

export const fields: FieldTable<CosmosSettings> = {
  url: text<string>({
    fallback: "",
    required: true,
    doc: "The account's URL, as `https://account.documents.azure.com:443/`, without a path.",
  }),
  masterKey: text<string>({
    fallback: "",
    secret: true,
    doc: "A read-write key of the account; without one Microsoft Entra ID signs in.",
  }),
  database: text<string>({ fallback: "", required: true, doc: "Name of the database, which has to be there." }),
  collection: text<string>({
    fallback: "",
    required: true,
    doc: "Name of the container, which has to be there with the partition key `/partitionKey`.",
  }),
  contentType: text<string>({
    fallback: "application/json",
    doc: "What raw bytes are: with a type of JSON, an object among them is stored as a document that can be queried.",
  }),
  lossyValues: flag({
    fallback: false,
    doc: "Take values that Cosmos DB changes: numbers are rounded to doubles, `-0` becomes `0`. Pannier's own.",
  }),
  ...entraFields,
};

/** The account's address, or null for what is none. */
export function accountUrl(text: string): URL | null {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return null;
  const isBare =
    url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "" && url.password === "";
  return isBare ? url : null;
}

/** Whether raw bytes may be JSON, as Dapr reads the type: with parameters or without. */
export function isJsonType(contentType: string): boolean {
  const [type = ""] = contentType.toLowerCase().split(";");
  return type.trim() === "application/json" || type.trim().endsWith("+json");
}

/** Where an emulator may be asked without TLS. */
const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);
const TEXT_TYPE = /^(text\/|application\/xml\b)/i;

/** What is wrong between fields, and what has no effect. */
export function check(settings: Readonly<CosmosSettings>): readonly Fault[] {
  const { url, masterKey, contentType } = settings;
  const faults: Fault[] = [];
  const add = (severity: Fault["severity"], field: string, got: string | null, want: string): void => {
    faults.push({ severity, field, got, want, hint: `see ${PAGE}` });
  };
  const account = accountUrl(url);
  // A URL with a user and a password in it is a mistake that people make; it is not shown.
  if (account === null)
    add(
      "error",
      "url",
      url.includes("@") ? null : url,
      "the account's URL, as https://account.documents.azure.com:443/",
    );
  else if (account.protocol === "http:" && !LOOPBACK.has(account.hostname))
    add(
      "warning",
      "url",
      url,
      "https: without TLS everybody on the way reads the values; only an emulator is asked so",
    );
  if (masterKey !== "" && !isBase64(masterKey)) add("error", "masterKey", null, "a key in base64, as Azure shows it");
  if (contentType === "") add("error", "contentType", contentType, 'a type, as "application/json"');
  else if (TEXT_TYPE.test(contentType)) {
    const want = "application/json: raw bytes are kept in base64, since as a text they would come back in quotes";
    add("warning", "contentType", contentType, want);
  }
  if (masterKey === "") return [...faults, ...checkCloud(settings, PAGE), ...checkEntra(settings, PAGE)];
  for (const field of Object.keys(entraFields) as (keyof EntraSettings)[])
    if (settings[field] !== "" && field !== "azureEnvironment")
      add("warning", field, null, "nothing: masterKey is there, and Entra ID signs in only without one");
  return faults;
}

function isBase64(key: string): boolean {
  // A secret that was made from a file ends with a line end.
  return Buffer.from(key, "base64").toString("base64") === key.trim();
}
