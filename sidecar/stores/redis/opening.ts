// From settings to connections: one server, the master that sentinels name, or a cluster. Knows no command on keys.
import type { OpenContext } from "../store.ts";
import type { Address } from "./address.ts";
import { formatAddress } from "./address.ts";
import { Cluster } from "./cluster.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { type Credentials, fixedCredentials } from "./credentials.ts";
import { addressesOf, type RedisSettings, retryLimits, shapeOf, timeouts } from "./fields.ts";
import type { LinkOptions } from "./link.ts";
import { Sentinels } from "./sentinels.ts";
import { StrongWrites } from "./strong.ts";
import { type Node, OneMaster, type Topology } from "./topology.ts";

/** What every link of a store has, wherever it leads. */
type CommonLink = Omit<LinkOptions, "address">;
type CommonConnection = Omit<ConnectionOptions, "link" | "find" | "server" | "onTrouble">;

/** What the servers are signed in at with; no token is asked for yet. Rejects where a package is not installed. */
export async function openCredentials(
  settings: Readonly<RedisSettings>,
  { clock, random, log }: OpenContext,
): Promise<Credentials> {
  const { useEntraID, useOIDC, redisUsername: username, redisPassword: password } = settings;
  if (!useEntraID && !useOIDC) return fixedCredentials({ username, password });
  // Loaded only here: a store with a password takes no memory for what asks for tokens.
  const [{ entraSource, oidcSource }, { RenewedToken }] = await Promise.all([
    import("./token-sources.ts"),
    import("./renewed-token.ts"),
  ]);
  const source = useEntraID ? await entraSource(settings, clock) : oidcSource(settings, { clock, random });
  return new RenewedToken({ source, clock, random, log });
}

/** Connects as the settings say, which are without faults. Rejects with a RedisError and leaves nothing open. */
export async function openTopology(
  settings: Readonly<RedisSettings>,
  credentials: Credentials,
  context: OpenContext,
): Promise<Topology> {
  const link = linkOptions(settings, credentials, context);
  const { clock, random, log, signal } = context;
  const connection = { retry: retryLimits(settings), clock, random, log };
  const node = nodeMaker(settings, link);
  const addresses = addressesOf(settings);
  switch (shapeOf(settings)) {
    case "cluster":
      return Cluster.open({ seeds: addresses, link: { ...link, database: 0 }, connection, node }, signal);
    case "sentinels":
      return openByMaster(addresses, settings, { link, connection, node, signal });
    case "node":
      return openByAddress(addresses, { link, connection, node, signal });
  }
}

interface Parts {
  readonly link: CommonLink;
  readonly connection: CommonConnection;
  readonly node: (connection: Connection) => Node;
  readonly signal: AbortSignal;
}

async function openByAddress([address]: readonly Address[], parts: Parts): Promise<Topology> {
  const { link, connection, node, signal } = parts;
  const at = address ?? { host: "", port: 0 };
  const options = {
    ...connection,
    link: { ...link, address: at },
    find: null,
    server: formatAddress(at),
    onTrouble: null,
  };
  return new OneMaster(node(await Connection.open(options, signal)), null);
}

async function openByMaster(
  addresses: readonly Address[],
  settings: Readonly<RedisSettings>,
  { link, connection, node, signal }: Parts,
): Promise<Topology> {
  const { sentinelMasterName: masterName, sentinelUsername: username, sentinelPassword: password } = settings;
  const sentinelLink = { ...link, credentials: fixedCredentials({ username, password }), database: 0 };
  const sentinels = new Sentinels({ sentinels: addresses, masterName, sentinelLink, masterLink: link });
  try {
    const options: ConnectionOptions = {
      ...connection,
      link: { ...link, address: addresses[0] ?? { host: "", port: 0 } },
      find: (opening) => sentinels.openMaster(opening),
      server: sentinels.server,
      onTrouble: null,
    };
    return new OneMaster(node(await Connection.open(options, signal)), sentinels);
  } catch (error) {
    sentinels.close();
    throw error;
  }
}

function nodeMaker(settings: Readonly<RedisSettings>, { clock, log, readMs }: CommonLink): (from: Connection) => Node {
  const acks = settings.strongAcks === "connected" ? null : Number(settings.strongAcks);
  return (connection) => {
    const strong = new StrongWrites({ connection, acks, readMs, clock, log });
    return { connection, strong, asking: false };
  };
}

function linkOptions(settings: Readonly<RedisSettings>, credentials: Credentials, context: OpenContext): CommonLink {
  const { dialMs, readMs } = timeouts(settings);
  if (settings.enableTLS && settings.insecureSkipTLSVerify) {
    context.log.warn("redis: the server's certificate is not verified", { component: context.component });
  }
  return {
    credentials,
    database: settings.redisDB,
    tls: settings.enableTLS ? tlsOptions(settings) : null,
    name: `pannier-${context.component}`,
    dialMs,
    readMs,
    clock: context.clock,
    log: context.log,
  };
}

function tlsOptions(settings: Readonly<RedisSettings>): NonNullable<LinkOptions["tls"]> {
  const rejectUnauthorized = !settings.insecureSkipTLSVerify;
  if (settings.clientCert === "" || settings.clientKey === "") return { rejectUnauthorized };
  return { rejectUnauthorized, cert: settings.clientCert, key: settings.clientKey };
}
