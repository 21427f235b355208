// The metadata fields of state.azure.blobstorage as Dapr has them (components-contrib, common/component/azure/blobstorage)
// and what they mean together. Opens nothing.
import { type FieldTable, flag, pattern, text, whole, word } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { checkCloud, checkEntra, type EntraSettings, entraFields } from "../azure/entra-fields.ts";
import { accountOf } from "./account.ts";

export interface BlobSettings extends EntraSettings {
  readonly accountName: string;
  readonly accountKey: string;
  readonly connectionString: string;
  readonly containerName: string;
  readonly publicAccessLevel: "none" | "blob" | "container";
  readonly endpoint: string;
  readonly retryCount: number;
  readonly disableEntityManagement: boolean;
}

const PAGE = "docs/stores/azure.blobstorage.md";
const RETRIES = 3;
const RETRIES_MAX = 20;

export const fields: FieldTable<BlobSettings> = {
  accountName: text({
    fallback: "",
    shownDefault: "required without `connectionString`",
    aliases: ["storageAccount", "storageAccountName"],
    doc: "Storage account.",
  }),
  accountKey: text({
    fallback: "",
    secret: true,
    aliases: ["accessKey", "storageAccessKey", "storageAccountKey"],
    doc: "One of the account's keys; without it and without `connectionString` Entra ID signs in.",
  }),
  connectionString: text({
    fallback: "",
    secret: true,
    doc: "As the portal shows it: account and key, or `BlobEndpoint` and `SharedAccessSignature`. Wins over the other fields.",
  }),
  containerName: pattern({
    fallback: "",
    required: true,
    aliases: ["container", "storageAccountContainer"],
    shape: /^(?=.{3,63}$)[a-z\d]+(-[a-z\d]+)*$/,
    want: "3 to 63 lower-case ASCII letters and digits, with single hyphens between them",
    doc: "Container of the values; made when it is not there.",
  }),
  publicAccessLevel: word({
    fallback: "none",
    words: ["none", "blob", "container"],
    doc: "Who may read without signing in, for a container that is made here.",
  }),
  endpoint: text({
    fallback: "",
    shownDefault: "the account's",
    aliases: ["storageEndpoint", "storageAccountEndpoint"],
    doc: "Another address of the service, as `http://127.0.0.1:10000` for Azurite; the account follows it in the path.",
  }),
  retryCount: whole({
    fallback: RETRIES,
    min: 0,
    max: RETRIES_MAX,
    aliases: ["getBlobRetryCount"],
    doc: "How often a request is sent again that the service was too busy for, 0 to 20.",
  }),
  disableEntityManagement: flag({ fallback: false, doc: "Never make the container." }),
  ...entraFields,
};

/** What is wrong between fields. */
export function check(settings: Readonly<BlobSettings>): readonly Fault[] {
  const cloud = checkCloud(settings, PAGE);
  if (cloud.length > 0) return cloud;
  const account = accountOf(settings);
  if ("field" in account) {
    const { field, got, want } = account;
    return [{ severity: "error", field, got, want, hint: `see ${PAGE}` }];
  }
  if (account.identity !== "entra") return [];
  if (account.base.protocol === "https:") return checkEntra(settings, PAGE);
  const want = "https beside Entra ID, whose tokens open the account to whoever sees them";
  return [{ severity: "error", field: "endpoint", got: settings.endpoint, want, hint: `see ${PAGE}` }];
}
