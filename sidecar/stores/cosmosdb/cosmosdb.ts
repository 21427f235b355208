// state.azure.cosmosdb: one container of an account of Azure Cosmos DB for NoSQL in Dapr's layout (dapr-state-stores.md 9).
// This file opens it: settings into a signed-in connection and a store. The REST API is asked directly
// (docs/decisions/0014-cosmosdb-client.md).
import { assert } from "#kit/assert.ts";
import { cloudOf } from "../azure/clouds.ts";
import { entraTokens } from "../azure/entra-tokens.ts";
import { type OpenContext, type Store, type StoreDriver, StoreError, storeDriver } from "../store.ts";
import { CosmosClient } from "./client.ts";
import { CosmosStore } from "./cosmosdb-store.ts";
import { strangeError } from "./failures.ts";
import { accountUrl, type CosmosSettings, check, fields, isJsonType } from "./fields.ts";
import type { Expiry } from "./layout.ts";
import { Link } from "./link.ts";
import { keyLogin, type Login, tokenLogin } from "./login.ts";
import { SessionTokens } from "./session.ts";

export const driver: StoreDriver = storeDriver<CosmosSettings>({
  type: "state.azure.cosmosdb",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  packages: ({ masterKey }) => (masterKey === "" ? [{ name: "@azure/identity", field: "masterKey" }] : []),
  open,
});

const PARTITION_KEY_PATH = "/partitionKey";

async function open(settings: Readonly<CosmosSettings>, context: OpenContext): Promise<Store> {
  const { clock, log, random, signal } = context;
  const { database, collection, contentType, lossyValues } = settings;
  const url = accountUrl(settings.url);
  assert(url !== null, "the settings were checked with the fields");
  const login = await loginOf(settings, url, context);
  const link = new Link(url, clock);
  const client = new CosmosClient({ link, login, session: new SessionTokens(), database, collection, clock, log });
  try {
    const expiry = await inspect(client, `${database}/${collection}`, signal);
    if (expiry.kind === "off")
      log.warn("the container has no default time to live, so values cannot expire: a TTL is refused", {
        component: context.component,
        container: `${database}/${collection}`,
        hint: "set defaultTtl to -1 and open the Component again (docs/hot-reload.md)",
      });
    return new CosmosStore({ client, layout: { expiry, rawJson: isJsonType(contentType), lossyValues }, random });
  } catch (error) {
    client.close();
    throw error;
  }
}

async function loginOf(settings: Readonly<CosmosSettings>, url: URL, { clock }: OpenContext): Promise<Login> {
  if (settings.masterKey !== "") return keyLogin(settings.masterKey);
  const cloud = cloudOf(settings.azureEnvironment);
  assert(cloud !== null, "the settings were checked with the fields");
  return tokenLogin(await entraTokens(settings, { scope: `https://${url.hostname}/.default`, cloud, clock }));
}

/** What JSON may have made of a container. */
interface Container {
  readonly defaultTtl?: unknown;
  readonly partitionKey?: { readonly paths?: unknown };
}

/** Looks at the container: whether it is the one that Dapr's layout needs, and how it deals with time. */
async function inspect(client: CosmosClient, name: string, signal: AbortSignal): Promise<Expiry> {
  const target = { kind: "container" as const };
  const request = {
    method: "GET" as const,
    target,
    partition: null,
    headers: {},
    body: null,
    isWrite: false,
    check: null,
  };
  const { body } = await client.send(request, { signal });
  const { defaultTtl, partitionKey } = parseContainer(body, client.server);
  const paths = Array.isArray(partitionKey?.paths) ? partitionKey.paths : [];
  if (paths.length !== 1 || paths[0] !== PARTITION_KEY_PATH) {
    const text = `the container ${name} has the partition key ${JSON.stringify(paths)}, want ["${PARTITION_KEY_PATH}"]; make another container and name it in collection`;
    throw new StoreError("refused", text);
  }
  if (typeof defaultTtl !== "number") return { kind: "off" };
  return defaultTtl > 0 ? { kind: "always", defaultSec: defaultTtl } : { kind: "asked" };
}

function parseContainer(body: Buffer, server: string): Container {
  try {
    const container: unknown = JSON.parse(body.toString());
    if (typeof container === "object" && container !== null) return container;
  } catch {
    // Something else answers there; told below, without its words.
  }
  throw strangeError(server, false);
}
