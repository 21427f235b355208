// Where the account is and who asks, out of the fields: a connection string, else a key, else Entra ID, in Dapr's order.
// Opens nothing.
import { assert } from "#kit/assert.ts";
import { cloudOf } from "../azure/clouds.ts";
import { type AccountKey, readKey } from "../azure/shared-key.ts";
import type { BlobSettings } from "./fields.ts";

export interface Account {
  /** "https://account.blob.core.windows.net", "http://127.0.0.1:10000/account". */
  readonly base: URL;
  readonly identity: "entra" | { readonly key: AccountKey } | { readonly sas: string };
}

/** What is wrong with one of the fields; `got` is null for a secret. */
interface Wrong {
  readonly field: keyof BlobSettings;
  readonly got: string | null;
  readonly want: string;
}

const NAME = /^[a-z\d]{3,24}$/;
const WANT_NAME = "3 to 24 lower-case letters and digits";
const WANT_KEY = "a key of the account, in base64 as the portal shows it";

export function accountOf(settings: Readonly<BlobSettings>): Account | Wrong {
  const { accountName, accountKey, connectionString, endpoint, azureEnvironment } = settings;
  if (connectionString !== "") return ofConnectionString(connectionString);
  if (!NAME.test(accountName))
    return { field: "accountName", got: accountName, want: `${WANT_NAME}, or a connectionString` };
  const cloud = cloudOf(azureEnvironment);
  assert(cloud !== null, "the cloud was checked before");
  const own = `https://${accountName}.blob.${cloud.storageSuffix}`;
  const base = endpoint === "" ? new URL(own) : urlOf(endpoint);
  if (base === null) return { field: "endpoint", got: null, want: 'an address as in "http://127.0.0.1:10000"' };
  // Dapr takes an endpoint that is the service's own name for the service, and puts the account behind any other one.
  if (base.hostname !== new URL(own).hostname) base.pathname = `${base.pathname.replace(/\/$/, "")}/${accountName}`;
  if (accountKey === "") return { base, identity: "entra" };
  const key = readKey(accountKey);
  if (key === null) return { field: "accountKey", got: null, want: WANT_KEY };
  return { base, identity: { key: { account: accountName, key } } };
}

const WANT_STRING =
  'AccountName and AccountKey, or BlobEndpoint and SharedAccessSignature, as in "AccountName=a;AccountKey=…"';

function ofConnectionString(text: string): Account | Wrong {
  const wrong = (want: string): Wrong => ({ field: "connectionString", got: null, want });
  const parts = new Map<string, string>();
  for (const part of text.split(";").filter((each) => each.trim() !== "")) {
    const equals = part.indexOf("=");
    if (equals < 0) return wrong(WANT_STRING);
    parts.set(part.slice(0, equals).trim().toLowerCase(), part.slice(equals + 1).trim());
  }
  const part = (name: string): string => parts.get(name) ?? "";
  const [account, sas] = [part("accountname"), part("sharedaccesssignature").replace(/^\?/, "")];
  const suffix = part("endpointsuffix") || "core.windows.net";
  const usual = `${part("defaultendpointsprotocol") || "https"}://${account}.blob.${suffix}`;
  const base = urlOf(part("blobendpoint") || (account === "" ? "" : usual));
  if (base === null) return wrong(WANT_STRING);
  if (part("accountkey") === "") return sas === "" ? wrong(WANT_STRING) : { base, identity: { sas } };
  const key = readKey(part("accountkey"));
  if (account === "" || key === null) return wrong(`AccountName, and as AccountKey ${WANT_KEY}`);
  return { base, identity: { key: { account, key } } };
}

/** An address by http or https without user, query and fragment, or null. */
function urlOf(text: string): URL | null {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol)) return null;
  return url.username === "" && url.password === "" && url.search === "" && url.hash === "" ? url : null;
}
