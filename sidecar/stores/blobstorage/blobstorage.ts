// state.azure.blobstorage: a container of an Azure storage account in the layout of Dapr's version v2
// (dapr-state-stores.md 17). This file opens it: settings into a link and a store. Version v1 is told why not.
import { assert } from "#kit/assert.ts";
import { cloudOf } from "../azure/clouds.ts";
import { entraTokens } from "../azure/entra-tokens.ts";
import { blobSign } from "../azure/shared-key.ts";
import { type Identity, StorageLink } from "../azure/storage-link.ts";
import { type OpenContext, type Store, type StoreDriver, StoreError, storeDriver, versionedDriver } from "../store.ts";
import { type Account, accountOf } from "./account.ts";
import { BlobStore, PING_KEY } from "./blob-store.ts";
import { Container, VERSION } from "./container.ts";
import { type BlobSettings, check, fields } from "./fields.ts";
import { nameOf } from "./names.ts";

const TYPE = "state.azure.blobstorage";

/** What an empty version means to Dapr, so that it must not mean another layout here. */
const v1: StoreDriver = storeDriver<BlobSettings>({
  type: TYPE,
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check: () => [
    {
      severity: "error",
      field: "version",
      got: "v1",
      want: "version: v2, for v1 leaves the app id out of names, so that applications and actors overwrite each other",
      hint: "its values are found again with version: v2 and keyPrefix: none; see docs/stores/azure.blobstorage.md",
    },
  ],
  open: () => Promise.reject(new StoreError("refused", "version v1 is not served")),
});

const v2: StoreDriver = storeDriver<BlobSettings>({
  type: TYPE,
  versions: ["v2"],
  defaultVersion: "v2",
  fields,
  check,
  packages: ({ connectionString, accountKey }) =>
    connectionString === "" && accountKey === "" ? [{ name: "@azure/identity", field: "accountKey" }] : [],
  foresee: () => ({ lacks: ["transactions"], bareKeysBy: null }),
  open,
});

export const driver: StoreDriver = versionedDriver(v1, v2);

const SCOPE = "https://storage.azure.com/.default";

async function open(settings: Readonly<BlobSettings>, context: OpenContext): Promise<Store> {
  const account = accountOf(settings);
  assert(!("field" in account), "the settings were checked with the fields");
  const { clock, random, signal } = context;
  const link = new StorageLink({
    service: "Azure Blob Storage",
    base: account.base,
    identity: await identityOf(account, settings, context),
    headers: { "x-ms-version": VERSION },
    retries: settings.retryCount,
    clock,
    random,
  });
  const container = new Container(link, settings.containerName);
  try {
    const isThere = settings.disableEntityManagement || (await container.exists(nameOf(PING_KEY), { signal }));
    if (!isThere) await container.create(settings.publicAccessLevel, { signal });
    const store = new BlobStore({ link, container });
    await store.ping({ signal });
    return store;
  } catch (error) {
    link.close();
    throw error;
  }
}

async function identityOf(
  { identity }: Account,
  settings: Readonly<BlobSettings>,
  { clock }: OpenContext,
): Promise<Identity> {
  if (identity === "entra") {
    const cloud = cloudOf(settings.azureEnvironment);
    assert(cloud !== null, "the settings were checked with the fields");
    return { kind: "tokens", tokens: await entraTokens(settings, { scope: SCOPE, cloud, clock }) };
  }
  if ("sas" in identity) return { kind: "sas", sas: identity.sas };
  return { kind: "key", sign: blobSign(identity.key) };
}
