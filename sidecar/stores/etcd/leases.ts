// Leases, by which etcd lets values expire: one for each TTL of a change, let go where the change was not made; and when
// the lease of a value ends. Knows no value.
import type { Clock } from "#kit/clock.ts";
import { type Call, StoreError } from "../store.ts";
import type { EtcdClient } from "./client.ts";
import { decodeLease, encodeLeaseGrant, encodeLeaseId, METHODS } from "./messages.ts";

/** Codes after which a change may have been made, and a lease may be in use. */
const DOUBTFUL = new Set(["timeout", "unknown-outcome"]);

export class Leases {
  readonly #client: EtcdClient;
  readonly #clock: Clock;

  constructor(client: EtcdClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** The shortest TTL in seconds that the servers grant: twice their election timeout, roughly. */
  async shortestSec({ signal }: Call): Promise<number> {
    const probe = decodeLease(
      await this.#client.send({ method: METHODS.leaseGrant, message: encodeLeaseGrant(1) }, signal),
    );
    await this.#client.send({ method: METHODS.leaseRevoke, message: encodeLeaseId(probe.id) }, signal);
    return probe.ttlSec;
  }

  /** Runs a change with a lease for each of the seconds; where it certainly was not made, the leases are given back. */
  async during<T>(
    ttlSecs: ReadonlySet<number>,
    call: Call,
    change: (leases: ReadonlyMap<number, string>) => Promise<T>,
  ): Promise<T> {
    const leases = new Map<number, string>();
    try {
      await Promise.all([...ttlSecs].map(async (ttlSec) => leases.set(ttlSec, await this.#grant(ttlSec, call))));
      return await change(leases);
    } catch (error) {
      if (error instanceof StoreError && !DOUBTFUL.has(error.code))
        await Promise.all([...leases.values()].map((lease) => this.#revoke(lease, call)));
      throw error;
    }
  }

  /** When leases end, in milliseconds since 1970 UTC; null for one that has ended. The server tells whole seconds. */
  async endsAtMs(leases: ReadonlySet<string>, call: Call): Promise<ReadonlyMap<string, number | null>> {
    const ends = new Map<string, number | null>();
    const ask = async (lease: string): Promise<void> => {
      const request = { method: METHODS.leaseTimeToLive, message: encodeLeaseId(lease) };
      const { ttlSec } = decodeLease(await this.#client.send(request, call.signal));
      // Rounded down by the server: the value may live for the rest of that second.
      ends.set(lease, ttlSec < 0 ? null : this.#clock.nowMs() + (ttlSec + 1) * 1000);
    };
    await Promise.all([...leases].map(ask));
    return ends;
  }

  async #grant(ttlSec: number, { signal }: Call): Promise<string> {
    const request = { method: METHODS.leaseGrant, message: encodeLeaseGrant(ttlSec) };
    return decodeLease(await this.#client.send(request, signal)).id;
  }

  async #revoke(lease: string, { signal }: Call): Promise<void> {
    try {
      await this.#client.send({ method: METHODS.leaseRevoke, message: encodeLeaseId(lease) }, signal);
    } catch {
      // A lease that nothing hangs on ends by itself; the change's own error is the one to tell.
    }
  }
}
