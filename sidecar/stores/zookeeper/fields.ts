// The metadata fields of state.zookeeper (dapr-state-stores.md 17) and what they mean together. Knows no connection.
import { duration, type FieldTable, text, whole } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { prefixFault } from "./paths.ts";
import { parseServers } from "./servers.ts";

export interface ZooKeeperSettings {
  readonly servers: string;
  /** Milliseconds. */
  readonly sessionTimeout: number;
  readonly maxBufferSize: number;
  /** Bytes; 0 for {@link REQUEST_BYTES}. */
  readonly maxConnBufferSize: number;
  readonly keyPrefixPath: string;
}

const SESSION_MS = 10_000;
const SESSION_MS_MIN = 1000;
const SESSION_MS_MAX = 3_600_000;
/** What Dapr's driver takes 0 for, and just what ZooKeeper's own jute.maxbuffer lets through. */
const REQUEST_BYTES = 1024 * 1024;
/** Below it there is no room for values. */
const REQUEST_BYTES_MIN = 32 * 1024;
const REQUEST_BYTES_MAX = 64 * 1024 * 1024;

export const fields: FieldTable<ZooKeeperSettings> = {
  servers: text({
    fallback: "",
    required: true,
    doc: "Servers of one ensemble, as `zk-0:2181,zk-1:2181` or `[::1]:2181`; the port is 2181, and at most 32. A sidecar begins at any of them.",
  }),
  sessionTimeout: duration<number>({
    fallback: SESSION_MS,
    required: true,
    bare: "seconds",
    min: SESSION_MS_MIN,
    max: SESSION_MS_MAX,
    doc: "How long the servers keep a session of which they hear nothing, from `1s` to an hour. A bare number is in seconds. The servers keep it between 2 and 20 of their ticks.",
  }),
  maxBufferSize: whole<number>({
    fallback: 0,
    min: 0,
    max: REQUEST_BYTES_MAX,
    doc: "Largest answer in bytes.",
    ignored: "an answer is as large as the value that the servers have taken",
  }),
  maxConnBufferSize: whole<number>({
    fallback: REQUEST_BYTES,
    min: 0,
    max: REQUEST_BYTES_MAX,
    doc: "Largest request in bytes; at most 4 more than the servers' `jute.maxbuffer`. 0 is the default.",
  }),
  keyPrefixPath: text({
    fallback: "",
    doc: "Path of the node below which the keys are; made with the first value where it is not there. Without it they are below the root.",
  }),
};

/** What is wrong between fields. */
export function check(settings: Readonly<ZooKeeperSettings>): readonly Fault[] {
  const faults: Fault[] = [];
  const fault = (field: string, got: string, want: string): void => {
    faults.push({ severity: "error", field, got, want, hint: "see docs/stores/zookeeper.md" });
  };
  const servers = parseServers(settings.servers);
  if ("want" in servers) fault("servers", settings.servers, servers.want);
  const wanted = prefixFault(settings.keyPrefixPath);
  if (wanted !== null) fault("keyPrefixPath", settings.keyPrefixPath, wanted);
  const bytes = requestBytesOf(settings);
  if (bytes < REQUEST_BYTES_MIN) fault("maxConnBufferSize", String(bytes), `0, or at least ${REQUEST_BYTES_MIN}`);
  return faults;
}

export function requestBytesOf({ maxConnBufferSize }: Readonly<ZooKeeperSettings>): number {
  return maxConnBufferSize === 0 ? REQUEST_BYTES : maxConnBufferSize;
}
