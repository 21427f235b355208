// The metadata fields of state.redis (dapr-state-stores.md 2a) and what they mean together. Knows no client library.
import { duration, type Field, type FieldTable, flag, pattern, text, whole } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { pemFaults } from "#kit/pem.ts";
import { type Address, mayBeShown, parseAddress, parseAddresses } from "./address.ts";
import { parseIndexes } from "./indexes.ts";
import { checkTokens, type TokenSettings, tokenFields } from "./token-fields.ts";

export interface RedisSettings extends TokenSettings {
  readonly redisHost: string;
  readonly redisPort: number | null;
  readonly redisUsername: string;
  readonly redisPassword: string;
  readonly redisDB: number;
  readonly redisType: string;
  readonly failover: boolean;
  readonly enableTLS: boolean;
  readonly insecureSkipTLSVerify: boolean;
  readonly clientCert: string;
  readonly clientKey: string;
  readonly strongAcks: string;
  readonly ttlInSeconds: number | null;
  readonly redisMaxRetries: number | null;
  readonly maxRetries: number | null;
  readonly redisMinRetryInterval: number | null;
  readonly redisMaxRetryInterval: number | null;
  readonly maxRetryBackoff: number | null;
  readonly dialTimeout: number;
  readonly readTimeout: number;
  readonly writeTimeout: string | null;
  readonly queryIndexes: string;
  readonly sentinelMasterName: string;
  readonly sentinelUsername: string;
  readonly sentinelPassword: string;
  readonly poolSize: string | null;
  readonly minIdleConns: string | null;
  readonly poolTimeout: string | null;
  readonly maxConnAge: string | null;
  readonly idleTimeout: string | null;
  readonly idleCheckFrequency: string | null;
  readonly redeliverInterval: string | null;
  readonly processingTimeout: string | null;
  readonly queueDepth: string | null;
  readonly concurrency: string | null;
  readonly consumerID: string | null;
  readonly maxLenApprox: string | null;
  readonly streamTTL: string | null;
}

const RETRIES_MAX = 20;
/** A negative timeout means "no limit" to Dapr's client; here it means this one, for every wait has an end. */
const TIMEOUT_MS_MAX = 600_000;
const DIAL_TIMEOUT_MS = 5_000;
const READ_TIMEOUT_MS = 3_000;
const RETRIES = 3;
const RETRY_MIN_MS = 8;
const RETRY_MAX_MS = 512;
const NS_PER_MS = 1_000_000;

const ONE_CONNECTION = "one pipelined connection serves all requests; there is no pool to size";
const PUB_SUB = "it belongs to the pub/sub component of the same server";

export const fields: FieldTable<RedisSettings> = {
  redisHost: text({
    fallback: "",
    shownDefault: "`localhost:6379`",
    doc: "`host`, `host:port`, `[IPv6]` or `[IPv6]:port`; of a cluster, or of sentinels, one or several with commas between them. No URL and no connection string: such a text is refused, and never shown.",
  }),
  redisPort: whole<number | null>({
    fallback: null,
    shownDefault: "`6379`",
    min: 1,
    max: 65_535,
    doc: "Port where `redisHost` has none, also for sentinels; another one there is a fault.",
  }),
  redisUsername: text({ fallback: "", doc: "ACL user (Redis 6 and later); empty for the default user." }),
  redisPassword: text({
    fallback: "",
    secret: true,
    doc: "Password of that user, or of the server. Better from a secret store.",
  }),
  redisDB: whole({
    fallback: 0,
    min: 0,
    max: 65_535,
    doc: "Number of the database; without effect in a cluster, which has only 0.",
  }),
  redisType: text({ fallback: "node", doc: "`node`, or `cluster` where `redisHost` names nodes of a cluster." }),
  failover: flag({ fallback: false, doc: "`redisHost` names sentinels, which say where the master is." }),
  enableTLS: flag({
    fallback: false,
    doc: "Speak TLS. The server's certificate is verified against the authorities that Node trusts (`NODE_EXTRA_CA_CERTS` adds a file).",
  }),
  insecureSkipTLSVerify: flag({
    fallback: false,
    doc: "Do not verify that certificate. Draws a warning at each start.",
  }),
  clientCert: text({ fallback: "", doc: "PEM text of a client certificate; needs `clientKey`." }),
  clientKey: text({ fallback: "", secret: true, doc: "PEM text of the client certificate's key; needs `clientCert`." }),
  strongAcks: pattern({
    fallback: "connected",
    shape: /^(connected|\d{1,3})$/,
    want: '"connected" or a number of replicas from 0 to 999',
    doc: "Replicas that must acknowledge a strong write: `connected`, those connected at that moment, or a number. Pannier's own.",
  }),
  ttlInSeconds: whole<number | null>({
    fallback: null,
    min: -2_147_483_648,
    max: 2_147_483_647,
    doc: "TTL of writes that ask for none, in seconds; 0 and negative: no expiry.",
  }),
  redisMaxRetries: retries({
    shownDefault: `\`${RETRIES}\``,
    doc: "Further attempts after one that certainly wrote nothing, 20 at most; 0 or -1: none.",
  }),
  maxRetries: retries({ doc: "Older name of `redisMaxRetries`, read when that is absent." }),
  redisMinRetryInterval: retryInterval(RETRY_MIN_MS, "First pause before another attempt; it doubles."),
  redisMaxRetryInterval: retryInterval(RETRY_MAX_MS, "Longest pause before another attempt."),
  maxRetryBackoff: whole<number | null>({
    fallback: null,
    min: -1,
    max: TIMEOUT_MS_MAX * NS_PER_MS,
    doc: "Older form of `redisMinRetryInterval`, in nanoseconds, read when that is absent.",
  }),
  dialTimeout: timeout(
    DIAL_TIMEOUT_MS,
    "Longest for connecting, with TLS and sign-in; a token is waited for before that, 4 seconds at most.",
  ),
  readTimeout: timeout(READ_TIMEOUT_MS, "Longest that a request waits for its answer."),
  writeTimeout: idle("Limit for sending.", "one limit covers sending and answering: readTimeout"),
  queryIndexes: text({
    fallback: "",
    doc: "Indexes over JSON documents, as a JSON array; made when the Component opens, for whoever searches in Redis itself.",
  }),
  ...tokenFields,
  sentinelMasterName: text({ fallback: "", doc: "What the sentinels call the master; needed with `failover`." }),
  sentinelUsername: text({ fallback: "", doc: "ACL user at the sentinels, which know none of the master's." }),
  sentinelPassword: text({
    fallback: "",
    secret: true,
    doc: "Password of that user, or of the sentinels. The servers' own is `redisPassword`.",
  }),
  poolSize: idle("Connections.", ONE_CONNECTION),
  minIdleConns: idle("Idle connections.", ONE_CONNECTION),
  poolTimeout: idle("Wait for a connection.", ONE_CONNECTION),
  maxConnAge: idle("Age of a connection.", ONE_CONNECTION),
  idleTimeout: idle("Idle time of a connection.", ONE_CONNECTION),
  idleCheckFrequency: idle("Check of idle connections.", ONE_CONNECTION),
  redeliverInterval: idle("Pub/sub.", PUB_SUB),
  processingTimeout: idle("Pub/sub.", PUB_SUB),
  queueDepth: idle("Pub/sub.", PUB_SUB),
  concurrency: idle("Pub/sub.", PUB_SUB),
  consumerID: idle("Pub/sub.", PUB_SUB),
  maxLenApprox: idle("Pub/sub.", PUB_SUB),
  streamTTL: idle("Pub/sub.", PUB_SUB),
};

/** Faults between fields. */
export function check(settings: Readonly<RedisSettings>): readonly Fault[] {
  const faults: Fault[] = [];
  const addresses = readAddresses(settings);
  if ("want" in addresses) faults.push(addressFault(settings.redisHost, addresses.want));
  if (settings.redisHost === "") {
    faults.push(fault("warning", "redisHost", "a host", "without it localhost is used, as Dapr does"));
  }
  const indexes = parseIndexes(settings.queryIndexes);
  if ("want" in indexes) faults.push(fault("error", "queryIndexes", indexes.want, null));
  return [...faults, ...checkShape(settings), ...checkTls(settings), ...checkTokens(settings)];
}

/** A list is for a cluster or sentinels; one server has one address. */
function readAddresses(settings: Readonly<RedisSettings>): readonly Address[] | { readonly want: string } {
  const { redisHost, redisPort } = settings;
  if (shapeOf(settings) !== "node") return parseAddresses(redisHost, redisPort);
  const address = parseAddress(redisHost, redisPort);
  return "want" in address ? address : [address];
}

/** Sentinels come first: together with "cluster" Dapr's client asks them too, and has all keys on their master. */
export function shapeOf({ redisType, failover }: Readonly<RedisSettings>): "node" | "cluster" | "sentinels" {
  if (failover) return "sentinels";
  return redisType === "cluster" ? "cluster" : "node";
}

function checkShape(settings: Readonly<RedisSettings>): readonly Fault[] {
  const { redisType, failover, redisDB, sentinelMasterName, sentinelUsername, sentinelPassword } = settings;
  const faults: Fault[] = [];
  const warn = (field: string, want: string, hint: string): void =>
    void faults.push(fault("warning", field, want, hint));
  if (!["node", "cluster", ""].includes(redisType))
    warn("redisType", '"node" or "cluster"', "any other word is taken as node, as Dapr does");
  if (failover && redisType === "cluster")
    warn("redisType", '"node"', "with failover all keys are on the master that the sentinels name");
  if (shapeOf(settings) === "cluster" && redisDB !== 0)
    warn("redisDB", "0", "a cluster has no other database, so it has no effect");
  if (failover && sentinelMasterName === "")
    faults.push(fault("error", "sentinelMasterName", "the name under which the sentinels know the master", null));
  const idleNames = { sentinelMasterName, sentinelUsername, sentinelPassword };
  for (const [name, value] of Object.entries(idleNames))
    if (!failover && value !== "") warn(name, 'failover "true" beside it', "without it the field has no effect");
  return faults;
}

function addressFault(redisHost: string, want: string): Fault {
  if (mayBeShown(redisHost)) return { ...fault("error", "redisHost", want, null), got: redisHost };
  return fault("error", "redisHost", want, "user and password belong in redisUsername and redisPassword");
}

function checkTls(settings: Readonly<RedisSettings>): readonly Fault[] {
  const faults: Fault[] = [];
  if ((settings.clientCert === "") !== (settings.clientKey === "")) {
    const missing = settings.clientCert === "" ? "clientCert" : "clientKey";
    faults.push(fault("warning", missing, "both clientCert and clientKey, or none", "one alone has no effect"));
  }
  if (!settings.enableTLS && (settings.insecureSkipTLSVerify || settings.clientCert !== "")) {
    faults.push(fault("warning", "enableTLS", '"true"', "without it the other TLS fields have no effect"));
  }
  const { clientCert, clientKey } = settings;
  if (settings.enableTLS && clientCert !== "" && clientKey !== "")
    faults.push(...pemFaults({ certificates: { clientCert }, keys: { clientKey }, pair: ["clientCert", "clientKey"] }));
  return faults;
}

export interface RetryLimits {
  /** Attempts after the first. */
  readonly retries: number;
  readonly minMs: number;
  readonly maxMs: number;
}

/** The newer names come first, then the older ones, then Dapr's documented defaults; an interval of 0 is the default. */
export function retryLimits(settings: Readonly<RedisSettings>): RetryLimits {
  const older = settings.maxRetryBackoff === null ? null : settings.maxRetryBackoff / NS_PER_MS;
  const maxMs = Math.max(0, settings.redisMaxRetryInterval || RETRY_MAX_MS);
  const minMs = Math.max(0, settings.redisMinRetryInterval || older || RETRY_MIN_MS);
  const retries = Math.max(0, settings.redisMaxRetries ?? settings.maxRetries ?? RETRIES);
  return { retries, minMs: Math.min(minMs, maxMs), maxMs };
}

/** A timeout field's meaning: 0 is the default, a negative one the longest. */
export function timeoutMs(value: number, defaultMs: number): number {
  if (value < 0) return TIMEOUT_MS_MAX;
  return value === 0 ? defaultMs : value;
}

export interface Timeouts {
  readonly dialMs: number;
  readonly readMs: number;
}

export function timeouts(settings: Readonly<RedisSettings>): Timeouts {
  return {
    dialMs: timeoutMs(settings.dialTimeout, DIAL_TIMEOUT_MS),
    readMs: timeoutMs(settings.readTimeout, READ_TIMEOUT_MS),
  };
}

/** The addresses of `redisHost`, one at least; only for settings that `check` found without errors. */
export function addressesOf(settings: Readonly<RedisSettings>): readonly Address[] {
  const addresses = readAddresses(settings);
  return "want" in addresses ? [] : addresses;
}

function fault(severity: Fault["severity"], field: string, want: string, hint: string | null): Fault {
  return { severity, field, got: null, want, hint };
}

function retries(shown: { readonly doc: string; readonly shownDefault?: string }): Field<number | null> {
  return whole<number | null>({ fallback: null, min: -1, max: RETRIES_MAX, ...shown });
}

function retryInterval(defaultMs: number, doc: string): Field<number | null> {
  const shownDefault = `\`${defaultMs}ms\``;
  return duration<number | null>({
    fallback: null,
    shownDefault,
    bare: "milliseconds",
    min: -1,
    max: TIMEOUT_MS_MAX,
    doc,
  });
}

function timeout(fallback: number, doc: string): Field<number> {
  return duration<number>({ fallback, bare: "milliseconds", min: -1, max: TIMEOUT_MS_MAX, doc });
}

/** A field that Dapr has and that has no effect here. */
function idle(doc: string, ignored: string): Field<string | null> {
  return text<null>({ fallback: null, doc, ignored });
}
