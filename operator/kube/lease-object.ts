// The Lease of coordination.k8s.io as leader election uses it: what it says, and how it reads when it is taken, renewed
// and given back. Pure; asks nobody.
import { microTime } from "./micro-time.ts";
import type { ObjectMeta } from "./object.ts";

export const LEASE_API = "coordination.k8s.io/v1";
/** On the Lease: where its holder can be reached, "host:port". */
export const ADDRESS_ANNOTATION = "pannier.io/address";
/** Of a Lease that was given back, in seconds: the API server wants at least 1. */
const RELEASED_SEC = 1;

export interface Lease {
  readonly apiVersion: typeof LEASE_API;
  readonly kind: "Lease";
  readonly metadata: Partial<ObjectMeta> & Pick<ObjectMeta, "name">;
  readonly spec: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface LeaseHolder {
  readonly identity: string;
  /** "host:port", or "" when the Lease does not say. */
  readonly address: string;
}

/** Of the holder as it wants to be written. */
interface Claim extends LeaseHolder {
  readonly durationSec: number;
  readonly nowMs: number;
}

/** A Lease that nobody has had. */
export function emptyLease(namespace: string, name: string): Lease {
  return { apiVersion: LEASE_API, kind: "Lease", metadata: { namespace, name }, spec: {} };
}

/** `lease` held by `claim` from now on, or still: the same holder keeps its time of acquiring. */
export function takenLease(lease: Lease, { identity, address, durationSec, nowMs }: Claim): Lease {
  const { spec, metadata } = lease;
  const stays = spec.holderIdentity === identity;
  const now = microTime(nowMs);
  const transitions = spec.leaseTransitions ?? 0;
  return {
    ...lease,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [ADDRESS_ANNOTATION]: address } },
    spec: {
      ...spec,
      holderIdentity: identity,
      leaseDurationSeconds: durationSec,
      acquireTime: stays ? (spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: stays || spec.acquireTime === undefined ? transitions : transitions + 1,
    },
  };
}

/** `lease` held by nobody, so that it can be taken at once. */
export function releasedLease(lease: Lease, nowMs: number): Lease {
  const { [ADDRESS_ANNOTATION]: _left, ...annotations } = lease.metadata.annotations ?? {};
  const now = microTime(nowMs);
  return {
    ...lease,
    metadata: { ...lease.metadata, annotations },
    spec: { ...lease.spec, holderIdentity: "", leaseDurationSeconds: RELEASED_SEC, acquireTime: now, renewTime: now },
  };
}
