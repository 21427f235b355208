// The subjects of state.azure.blobstorage: an Azurite, which can be killed, started again and stopped in the middle, and a
// container of the account that the environment names.
import { randomUUID } from "node:crypto";
import { driver } from "#sidecar/stores/blobstorage/blobstorage.ts";
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
  features: { etag: true, transactions: false, ttl: false, list: true },
  limits: { valueBytesMax: null, keyBytesMax: 3072, operationsMax: null, ttlSecMin: 1 },
  traits: {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: true,
    firstWriteDelete: "ignored",
    ttlStepMs: 1,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
  },
};

const v2 = driver.byVersion?.v2;
if (v2 === undefined) throw new Error("state.azure.blobstorage has no version v2");

function settingsOf(
  { account, key, blobEndpoint }: AzureAccount,
  containerName: string,
): Readonly<Record<string, string>> {
  const endpoint = blobEndpoint === "" ? {} : { endpoint: blobEndpoint };
  return { accountName: account, accountKey: key, containerName, ...endpoint };
}

/** Of characters, as the service counts, and not of bytes. */
const longestKey = (beginning: string): string => beginning.padEnd(1024, "あ");

export const blobAzurite: Subject = {
  name: "state.azure.blobstorage, Azurite",
  driver: v2,
  declares,
  longestKey,
  server: "pause",
  skip: azuriteMissing(),
  excepted: {
    "takes the last character of the first plane in a beginning as itself":
      "Azurite 3.37 fails each list with a name that has U+FFFF or U+FFFE, as XML cannot hold them",
  },
  async start() {
    const azurite = await startAzurite();
    const restart = async (): Promise<void> => {
      await azurite.restart();
      // It comes back empty, which the service never does.
      await azurite.container("state").createIfNotExists();
    };
    return ownServer({ ...azurite, restart }, settingsOf(azurite, "state"), () => azuriteTold(azurite));
  },
};

export const blobService: Subject = {
  name: "state.azure.blobstorage, Azure",
  driver: v2,
  declares,
  longestKey,
  server: "none",
  skip: azureServiceMissing(),
  async start() {
    const account = azureService();
    const name = `pannier-${randomUUID()}`;
    const stop = async (): Promise<void> => void (await account.container(name).deleteIfExists());
    return { properties: properties(settingsOf(account, name)), server: null, stop };
  },
};
