// Who leads among the replicas: by a Lease, or this one because it has no others.
import type { Leadership } from "./api/peers.ts";
import type { OperatorFlags } from "./flags.ts";
import type { KubeContext } from "./kube/context.ts";
import { LeaseElector } from "./kube/lease.ts";

export type { Leadership };

const LEASE = "pannier-operator";

const soleLeader: Leadership = {
  isLeader: true,
  holder: () => null,
  onChange: () => () => undefined,
};

/** Stands for election at once. What was opened is added to `closing`. */
export function openLeadership(
  kube: KubeContext,
  flags: Readonly<OperatorFlags>,
  closing: (() => unknown)[],
): Leadership {
  if (!flags["leader-elect"]) {
    kube.metrics.isLeader(true);
    return soleLeader;
  }
  const elector = new LeaseElector(kube, {
    namespace: flags.namespace,
    name: LEASE,
    identity: `${flags["pod-name"]}_${kube.random.uuid()}`,
    address: flags["pod-ip"] === "" ? "" : `${bracketed(flags["pod-ip"])}:${flags["api-port"]}`,
  });
  elector.start();
  closing.push(() => elector.close());
  return elector;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
