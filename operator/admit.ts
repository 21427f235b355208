// The webhook's answer about a pod: the injector's decision as an admission, told by an Event to whoever made the pod.
// Knows neither the envelope nor how a pod is patched.
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { type Decision, decide } from "./inject/decide.ts";
import { isMapping, readPod } from "./inject/object.ts";
import { patchOf } from "./inject/patch.ts";
import type { InjectSettings } from "./inject/settings.ts";
import type { Events } from "./kube/events.ts";
import { RateLimit } from "./kube/rate-limit.ts";
import type { Admission, AdmissionRequest, Admit } from "./webhook/review.ts";

export interface AdmitContext {
  /** Of a namespace. Asked for each pod: trust anchors and Components change. */
  readonly settings: (namespace: string) => InjectSettings;
  readonly events: Events;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Events of admissions: so many at once, then one each so many milliseconds. Whoever reaches the webhook's port can send
 * reviews about whatever there is, and is not to fill the API server by way of them.
 */
export const EVENT_RATE = { atOnce: 50, everyMs: 1_000 };
/** All together. */
const RATE_KEY = "";

/** HTTP's Unprocessable Content: the pod is understood and cannot be had like this. */
const DENIED = 422;
const NOT_A_POD = "not-a-pod";

export function createAdmit(context: AdmitContext): Admit {
  const rate = new RateLimit({ ...EVENT_RATE, clock: context.clock });
  return (request) => {
    const { kind, namespace, object } = request;
    if (kind.group !== "" || kind.kind !== "Pod")
      return { kind: "allow", patch: null, reason: NOT_A_POD, warnings: [] };
    const decision = decide(object, namespace, context.settings(namespace));
    tell({ ...context, rate }, request, decision);
    return admissionOf(object, decision);
  };
}

function admissionOf(object: unknown, decision: Decision): Admission {
  const { reason, sentence } = decision;
  switch (decision.outcome) {
    case "inject": {
      const read = readPod(object);
      const patch = "pod" in read ? patchOf(read.pod, decision.pod) : [];
      return { kind: "allow", patch, reason, warnings: decision.notes };
    }
    case "skip": {
      // Nobody asked for a sidecar, so nobody is to hear of it.
      const warnings = reason === "not-enabled" ? [] : [`no sidecar: ${sentence}`];
      return { kind: "allow", patch: null, reason, warnings };
    }
    case "deny":
      return { kind: "deny", message: sentence, code: DENIED, reason, warnings: [] };
  }
}

function tell(
  { events, log, rate }: AdmitContext & { readonly rate: RateLimit },
  request: AdmissionRequest,
  { outcome, reason, sentence }: Decision,
): void {
  if (request.dryRun || reason === "not-enabled" || reason === "already-injected") return;
  const { namespace, name } = request;
  log.debug("pod admitted", { namespace, pod: name, outcome, reason });
  const owner = ownerOf(request);
  if (owner === null || outcome === "inject" || !rate.take(RATE_KEY)) return;
  const action = "Inject";
  if (outcome === "deny")
    events.tell({ about: owner, type: "Warning", reason: "InjectionDenied", action, note: sentence });
  else events.tell({ about: owner, type: "Normal", reason: "InjectionSkipped", action, note: sentence });
}

/** The controller that makes the pod: the pod itself is not there yet. Null for a pod that somebody made by hand. */
function ownerOf({ object, namespace }: AdmissionRequest): Parameters<Events["tell"]>[0]["about"] | null {
  const read = readPod(object);
  const references: unknown = "pod" in read ? read.pod.metadata?.ownerReferences : null;
  if (!Array.isArray(references)) return null;
  const owner: unknown = references.find((each) => isMapping(each) && each.controller === true);
  if (!isMapping(owner)) return null;
  const { apiVersion, kind, name, uid } = owner;
  const texts = [apiVersion, kind, name, uid];
  if (!texts.every((text) => typeof text === "string")) return null;
  const metadata = { name: String(name), namespace, uid: String(uid), resourceVersion: "" };
  return { apiVersion: String(apiVersion), kind: String(kind), metadata };
}
