// The metadata fields of state.memcached (dapr-state-stores.md 14a). Knows no connection.
import { duration, type FieldTable, flag, text, whole } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { parseHosts } from "./hosts.ts";

export interface MemcachedSettings {
  readonly hosts: string;
  readonly maxIdleConnections: number | null;
  /** Milliseconds; 0 for {@link TIMEOUT_WHEN_ZERO_MS}. */
  readonly timeout: number;
  readonly etags: boolean;
}

const TIMEOUT_MS = 1000;
const TIMEOUT_MS_MAX = 600_000;
/** What Dapr's client takes 0 for. */
const TIMEOUT_WHEN_ZERO_MS = 500;

export const fields: FieldTable<MemcachedSettings> = {
  hosts: text({
    fallback: "",
    required: true,
    doc: "Servers, as `cache-0:11211,cache-1:11211` or `[::1]:11211`; the port is 11211, and at most 64. Their order decides which server has a key: give it to all applications alike.",
  }),
  maxIdleConnections: whole<number | null>({
    fallback: null,
    min: -1_000_000,
    max: 1_000_000,
    doc: "Connections kept open per server.",
    ignored: "one pipelined connection per server serves all requests",
  }),
  timeout: duration<number>({
    fallback: TIMEOUT_MS,
    bare: "milliseconds",
    min: 0,
    max: TIMEOUT_MS_MAX,
    doc: "Longest that a request waits for its answer, connecting included. A bare number is in **milliseconds**; 0 is 500 ms.",
  }),
  etags: flag({ fallback: false, doc: "Give values ETags, which a restart of the server begins anew. Pannier's own." }),
};

export function check({ hosts }: Readonly<MemcachedSettings>): readonly Fault[] {
  const parsed = parseHosts(hosts);
  if (!("want" in parsed)) return [];
  const hint = "see docs/stores/memcached.md";
  return [{ severity: "error", field: "hosts", got: hosts.includes("@") ? null : hosts, want: parsed.want, hint }];
}

export function timeoutOf({ timeout }: Readonly<MemcachedSettings>): number {
  return timeout === 0 ? TIMEOUT_WHEN_ZERO_MS : timeout;
}
