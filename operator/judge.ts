// The sidecar's own decoder, asked what is wrong with a Component (docs/decisions/0012). The one place where the operator
// knows of the sidecar: its controllers get this as a function.
import { COMPONENT_CONTAINER } from "#crds/annotations.ts";
import { type Component, parseComponent } from "#crds/component.ts";
import type { Fault } from "#kit/fault.ts";
import { blockOf } from "#sidecar/components/component-type.ts";
import { judgeComponent } from "#sidecar/components/judgement.ts";

export interface Judged {
  /** All faults at once; no value of a secret is in them. */
  readonly faults: readonly Fault[];
  /** As far as it could be read, whatever is wrong with it. */
  readonly component: Component;
  /** A state store or a secret store: what sidecars are given. Other Components are Dapr's. */
  readonly isOurs: boolean;
}

/** Who names a container that serves a Component's type knows that there is one. */
function pluggableIn(manifest: unknown, type: string): readonly string[] {
  const metadata = memberOf(manifest, "metadata");
  return memberOf(memberOf(metadata, "annotations"), COMPONENT_CONTAINER) === undefined ? [] : [type.toLowerCase()];
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

export type Judge = (manifest: unknown) => Promise<Judged>;

export const judge: Judge = async (manifest) => {
  const { draft, faults } = parseComponent(manifest);
  const { block } = blockOf(draft.type);
  const judgement = await judgeComponent(draft, { inCluster: true, pluggable: pluggableIn(manifest, draft.type) });
  return { faults: [...faults, ...judgement.faults], component: draft, isOurs: block !== "other" };
};
