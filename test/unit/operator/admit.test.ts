// What the webhook answers about a pod, and who hears of it.
import assert from "node:assert/strict";
import { systemClock } from "#kit/clock.ts";
import { createAdmit, EVENT_RATE } from "#operator/admit.ts";
import { defaultSettings } from "#operator/inject/settings.ts";
import type { Told } from "#operator/kube/events.ts";
import type { Admission, AdmissionRequest } from "#operator/webhook/review.ts";
import { ManualClock } from "../sidecar/resiliency/manual-clock.ts";
import { silentLog } from "./components/silent-log.ts";

const OWNER = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "orders-5d9", uid: "u1" };

function podOf(annotations: Record<string, string>, ownerReferences: readonly object[] = []): object {
  const metadata = { generateName: "orders-", annotations, ownerReferences };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { containers: [{ name: "app" }] } };
}

const GOOD = { "dapr.io/enabled": "true", "dapr.io/app-id": "orders" };
const WRONG = { ...GOOD, "dapr.io/app-port": "x" };

const REQUEST: AdmissionRequest = {
  uid: "r1",
  kind: { group: "", version: "v1", kind: "Pod" },
  operation: "CREATE",
  namespace: "shop",
  name: "",
  userName: "somebody",
  dryRun: false,
  object: null,
};

interface Admitted {
  readonly admission: Admission;
  readonly events: readonly Told[];
}

function admit(object: unknown, more: Partial<AdmissionRequest> = {}): Admitted {
  const events: Told[] = [];
  const settings = () => defaultSettings("pannier-system");
  const tell = (event: Told): void => void events.push(event);
  const decide = createAdmit({ settings, events: { tell }, clock: systemClock, log: silentLog });
  return { admission: decide({ ...REQUEST, object, ...more }), events };
}

describe("admission of a pod", () => {
  it("gives the patch and the notes of one that is injected, and tells no Event", () => {
    const owned = podOf({ ...GOOD, "dapr.io/app-prt": "80" }, [{ ...OWNER, controller: true }]);
    const { admission, events } = admit(owned);
    assert.ok(admission.kind === "allow");
    assert.equal(admission.reason, "native-sidecar");
    assert.ok(admission.patch?.some(({ path }) => path === "/spec/initContainers"));
    assert.match(admission.warnings.join(), /did you mean dapr\.io\/app-port/);
    assert.deepEqual(events, []);
  });

  it("denies a wrong annotation with its name and value, and tells the pod's controller", () => {
    const { admission, events } = admit(
      podOf(WRONG, [
        { ...OWNER, uid: "u0" },
        { ...OWNER, controller: true },
      ]),
    );
    assert.ok(admission.kind === "deny");
    assert.deepEqual([admission.code, admission.reason], [422, "wrong-annotation"]);
    assert.match(admission.message, /dapr\.io\/app-port: got "x"/);
    const [event] = events;
    assert.equal(events.length, 1);
    assert.deepEqual([event?.type, event?.reason, event?.note], ["Warning", "InjectionDenied", admission.message]);
    const { uid, namespace } = event?.about.metadata ?? {};
    assert.deepEqual([event?.about.kind, uid, namespace], ["ReplicaSet", "u1", "shop"]);
  });

  it("goes by what is known of the pod's own namespace", () => {
    const settings = (namespace: string) => ({
      ...defaultSettings("pannier-system"),
      componentContainers: [{ component: namespace, scopes: [], text: '{"image": "x"}' }],
    });
    const decide = createAdmit({ settings, events: { tell: () => undefined }, clock: systemClock, log: silentLog });
    const object = podOf({ ...GOOD, "dapr.io/inject-pluggable-components": "true" });
    const admission = decide({ ...REQUEST, namespace: "bank", object });
    assert.ok(admission.kind === "allow");
    assert.match(JSON.stringify(admission.patch), /"name":"bank","image":"x"/);
  });

  it("tells so many Events and no more, whoever sends reviews", async () => {
    const told: string[] = [];
    const tell = ({ about }: Told): void => void told.push(about.metadata.uid);
    const clock = new ManualClock();
    const settings = () => defaultSettings("pannier-system");
    const decide = createAdmit({ settings, events: { tell }, clock, log: silentLog });
    const deny = (uid: string): string => {
      const object = podOf(WRONG, [{ ...OWNER, uid, controller: true }]);
      return decide({ ...REQUEST, namespace: `of-${uid}`, object }).kind;
    };
    for (let nth = 0; nth < 2 * EVENT_RATE.atOnce; nth++) assert.equal(deny(`u${nth}`), "deny");
    assert.equal(told.length, EVENT_RATE.atOnce);
    await clock.advance(EVENT_RATE.everyMs);
    for (const uid of ["one", "two"]) deny(uid);
    assert.deepEqual(told.slice(EVENT_RATE.atOnce), ["one"]);
  });

  it("says of one that is left alone why, to its author and its controller", () => {
    const { admission, events } = admit(podOf(GOOD, [{ ...OWNER, controller: true }]), { namespace: "kube-system" });
    assert.ok(admission.kind === "allow");
    assert.deepEqual([admission.patch, admission.reason], [null, "namespace-excluded"]);
    assert.deepEqual(admission.warnings, ["no sidecar: the injector leaves this namespace alone"]);
    assert.deepEqual([events[0]?.type, events[0]?.reason], ["Normal", "InjectionSkipped"]);
  });

  it("says nothing to whoever did not ask", () => {
    const { admission, events } = admit(podOf({ "dapr.io/enabled": "no" }, [{ ...OWNER, controller: true }]));
    assert.deepEqual(admission, { kind: "allow", patch: null, reason: "not-enabled", warnings: [] });
    assert.deepEqual(events, []);
  });

  it("tells no Event of a dry run, nor of a pod that has no controller", () => {
    const dry = admit(podOf(WRONG, [{ ...OWNER, controller: true }]), { dryRun: true });
    assert.deepEqual([dry.admission.kind, dry.events], ["deny", []]);
    for (const references of [[], [OWNER], [{ controller: true }]])
      assert.deepEqual(admit(podOf(WRONG, references)).events, []);
  });

  it("lets pass what is no pod, and denies a pod that cannot be read", () => {
    const other = admit(podOf(GOOD), { kind: { group: "apps", version: "v1", kind: "Deployment" } }).admission;
    assert.deepEqual(other, { kind: "allow", patch: null, reason: "not-a-pod", warnings: [] });
    const broken = admit({ metadata: { annotations: GOOD }, spec: {} }).admission;
    assert.deepEqual([broken.kind, broken.reason], ["deny", "no-pod"]);
  });
});
