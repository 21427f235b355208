// The client library's Client as it is set up here. Knows no statement.
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { Client, errors, policies, type types } from "cassandra-driver";
import { assert } from "#kit/assert.ts";
import type { Host } from "./hosts.ts";

/** PEM texts; each empty where it was not given. */
interface TlsTexts {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface LibraryOptions {
  readonly hosts: readonly Host[];
  /** Of the nodes that the cluster tells of. */
  readonly port: number;
  readonly protoVersion: number;
  /** Null where nobody signs in. */
  readonly user: { readonly name: string; readonly password: string } | null;
  /** Null without TLS. */
  readonly tls: TlsTexts | null;
  /** "" for all. */
  readonly localDataCenter: string;
}

/** Longer than servers wait for their replicas (5 s): a node that says nothing until then is gone. */
const REQUEST_MS = 6_000;
const CONNECT_MS = 3_000;
const SCHEMA_AGREEMENT_SEC = 10;
const RECONNECT_FIRST_MS = 100;
const RECONNECT_LONGEST_MS = 2_000;
/** Under way on the one connection to a node: less than the protocol has numbers for. More fail at once. */
const REQUESTS_PER_NODE_MAX = 32_000;
/** What the library speaks. */
const PROTOCOL_VERSION_MAX = 4;

type DecisionInfo = policies.retry.DecisionInfo;

/**
 * Repeats reads on the next node, where the one before was lost. Not after a time that is up, for the caller's is too; and
 * never a write, whatever has become of it.
 */
class NextNodeForReads extends policies.retry.RetryPolicy {
  override onRequestError(
    _info: policies.retry.OperationInfo,
    consistency: types.consistencies,
    error: Error,
  ): DecisionInfo {
    if (error instanceof errors.OperationTimedOutError) return this.rethrowResult();
    return this.retryResult(consistency, false);
  }

  override onUnavailable(): DecisionInfo {
    return this.rethrowResult();
  }

  override onReadTimeout(): DecisionInfo {
    return this.rethrowResult();
  }

  override onWriteTimeout(): DecisionInfo {
    return this.rethrowResult();
  }
}

/** A Client that is not connected yet. */
export function libraryClient(options: LibraryOptions): Client {
  const { hosts, port, protoVersion, user, tls, localDataCenter } = options;
  const { loadBalancing, reconnection } = policies;
  const spread =
    localDataCenter === ""
      ? new loadBalancing.RoundRobinPolicy()
      : new loadBalancing.DCAwareRoundRobinPolicy(localDataCenter);
  const version = protoVersion === 0 ? PROTOCOL_VERSION_MAX : Math.min(protoVersion, PROTOCOL_VERSION_MAX);
  return new Client({
    contactPoints: hosts.map(({ name }) => name),
    protocolOptions: { port, maxVersion: version, maxSchemaAgreementWaitSeconds: SCHEMA_AGREEMENT_SEC },
    ...(user === null ? {} : { credentials: { username: user.name, password: user.password } }),
    ...(tls === null ? {} : { sslOptions: tlsOptions(tls, hosts) }),
    policies: {
      loadBalancing: new loadBalancing.TokenAwarePolicy(spread),
      reconnection: new reconnection.ExponentialReconnectionPolicy(RECONNECT_FIRST_MS, RECONNECT_LONGEST_MS, false),
      retry: new NextNodeForReads(),
    },
    pooling: { maxRequestsPerConnection: REQUESTS_PER_NODE_MAX },
    socketOptions: {
      connectTimeout: CONNECT_MS,
      readTimeout: REQUEST_MS,
      // A node that missed one answer by then will not give the others either.
      defunctReadTimeoutThreshold: 0,
    },
    monitorReporting: { enabled: false },
  });
}

function tlsOptions({ ca, cert, key }: TlsTexts, hosts: readonly Host[]): object {
  return {
    rejectUnauthorized: true,
    checkServerIdentity: (address: string, certificate: PeerCertificate) => identityFault(hosts, address, certificate),
    ...(ca === "" ? {} : { ca }),
    ...(cert === "" ? {} : { cert, key }),
  };
}

/**
 * Why a certificate is not for a node; undefined when it is. Nodes are found by their addresses, while certificates often
 * have the names that `hosts` gives: either will do.
 */
export function identityFault(
  hosts: readonly Host[],
  address: string,
  certificate: PeerCertificate,
): Error | undefined {
  const fault = checkServerIdentity(address, certificate);
  if (fault === undefined) return undefined;
  return hosts.some(({ host }) => checkServerIdentity(host, certificate) === undefined) ? undefined : fault;
}

const NEW_CONNECTION = "_createConnection";

/**
 * To be called once a Client is connected. When it has lost every node, cassandra-driver 4.10.0 goes through its contact
 * points again, and then puts a new node beside the old one of the same address, which keeps its connection and its timers
 * for ever. Without that way it waits for the nodes that it knows, as it does in an outage of some of them.
 */
export function keepNodes(client: Client): void {
  const control: unknown = Reflect.get(client, "controlConnection");
  assert(typeof control === "object" && control !== null, "cassandra-driver has a control connection");
  assert(NEW_CONNECTION in control, "cassandra-driver makes its control connections as version 4.10.0 does");
  Reflect.set(control, NEW_CONNECTION, () => Promise.reject(new Error("the nodes have their own connections")));
}
