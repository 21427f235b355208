import assert from "node:assert/strict";
import type { Fault } from "#kit/fault.ts";
import type { ComponentReport } from "#operator/api/report-table.ts";
import { announcementsOf } from "#operator/components/announcements.ts";
import { type Known, statusOf } from "#operator/components/conditions.ts";
import { grantCommand } from "#operator/components/grant.ts";
import { shownStatus } from "#operator/components/shown-status.ts";
import { APPS_MAX, type ConditionType, MESSAGE_MAX } from "#operator/components/status.ts";

const KNOWN: Known = {
  generation: 3,
  faults: [],
  secrets: { status: "True", reason: "NoSecrets", message: "the manifest refers to no secret" },
  reports: [],
};

function fault(field: string, severity: Fault["severity"] = "error", got: string | null = "x"): Fault {
  return { severity, field, got, want: "another", hint: null };
}

function report(podName: string, differing: Partial<ComponentReport> = {}): ComponentReport {
  return {
    name: "orders",
    uid: "u",
    generation: 3,
    state: "ready",
    reachable: true,
    message: null,
    appId: podName.split("-")[0] ?? "",
    podName,
    podUid: podName,
    ...differing,
  };
}

function verdicts(known: Partial<Known>): Readonly<Record<ConditionType, string>> {
  const { conditions } = statusOf({ ...KNOWN, ...known }, null, 0);
  const shown = conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]);
  return Object.fromEntries(shown) as Record<ConditionType, string>;
}

function messageOf(type: ConditionType, known: Partial<Known>): string {
  return statusOf({ ...KNOWN, ...known }, null, 0).conditions.find((each) => each.type === type)?.message ?? "";
}

describe("status of a Component", () => {
  it("is unknown without a sidecar, and names the generation that it is about", () => {
    const status = statusOf(KNOWN, null, 1_700_000_000_000);
    assert.equal(status.observedGeneration, 3);
    assert.deepEqual(status.conditions[0], {
      type: "Ready",
      status: "Unknown",
      reason: "NoSidecar",
      message: "no sidecar reports on it: no running pod with a sidecar is in its scopes",
      observedGeneration: 3,
      lastTransitionTime: "2023-11-14T22:13:20Z",
    });
  });

  it("is ready when all sidecars are on this generation and reach the store", () => {
    const { Ready, StoreReachable } = verdicts({ reports: [report("a-1"), report("a-2"), report("b-1")] });
    assert.deepEqual([Ready, StoreReachable], ["True Ready", "True Reachable"]);
  });

  it("is ready when a sidecar has nothing to reach", () => {
    const { Ready, StoreReachable } = verdicts({ reports: [report("a-1", { reachable: null })] });
    assert.deepEqual([Ready, StoreReachable], ["True Ready", "Unknown NotAsked"]);
  });

  it("takes the first cause for the reason: the manifest, the secrets, the sidecars, the store", () => {
    const secrets = { status: "False", reason: "KeyNotFound", message: "no key" } as const;
    const reports = [report("a-1", { state: "failed", reachable: false, message: "refused" })];
    const faults = [fault("redisMaxRetries")];
    assert.equal(verdicts({ faults, secrets, reports }).Ready, "False Invalid");
    assert.equal(verdicts({ secrets, reports }).Ready, "False KeyNotFound");
    assert.equal(verdicts({ reports }).Ready, "False NotLoaded");
    assert.equal(verdicts({ reports: [report("a-1", { reachable: false })] }).Ready, "False Unreachable");
  });

  it("tells a type that there is not from a manifest that is wrong", () => {
    assert.equal(verdicts({ faults: [fault("spec.type")] }).MetadataValid, "False TypeUnknown");
    assert.equal(verdicts({ faults: [fault("spec.version")] }).MetadataValid, "False TypeUnknown");
    assert.equal(verdicts({ faults: [fault("spec.type", "error", null)] }).MetadataValid, "False Invalid");
    assert.equal(verdicts({ faults: [fault("redisDb")] }).MetadataValid, "False Invalid");
  });

  describe("of a type that Pannier does not have, and a pod may bring", () => {
    const faults = [fault("spec.type", "error", "state.my-store")];
    const shown = (known: Partial<Known>) => {
      const { MetadataValid, Ready } = verdicts({ faults, ...known });
      return [MetadataValid, Ready];
    };

    it("is unknown while no sidecar reports, and says what to do in one line", () => {
      assert.deepEqual(shown({}), ["Unknown TypeUnknown", "Unknown TypeUnknown"]);
      assert.equal(
        messageOf("Ready", { faults }),
        "a pod may bring such a store as a pluggable component, which its sidecar then reports; else " +
          'spec.type: got "state.my-store", want another',
      );
    });

    it("is what the sidecars say of it", () => {
      const failed = report("a-1", { state: "failed", reachable: null, message: "no socket my-store.*" });
      const of = (...reports: readonly ComponentReport[]) => shown({ reports });
      assert.deepEqual(of(report("a-1")), ["Unknown TypeUnknown", "True Ready"]);
      assert.deepEqual(of(report("a-1", { generation: 2 })), ["Unknown TypeUnknown", "Unknown Pending"]);
      assert.deepEqual(of(report("a-1", { reachable: false })), ["Unknown TypeUnknown", "False Unreachable"]);
      assert.deepEqual(of(failed, report("b-1")), ["Unknown TypeUnknown", "False NotLoaded"]);
      assert.match(messageOf("Ready", { faults, reports: [failed] }), /pod a-1 of app a: no socket my-store/);
    });

    it("is wrong where something else is wrong with it", () => {
      const and = (other: Fault) => shown({ faults: [...faults, other], reports: [report("a-1")] });
      assert.deepEqual(and(fault("scopes")), ["False Invalid", "False Invalid"]);
      assert.deepEqual(and(fault("spec.version")), ["False TypeUnknown", "False TypeUnknown"]);
      assert.deepEqual(and(fault("hsot", "warning")), ["Unknown TypeUnknown", "True Ready"]);
      const absent = { status: "False", reason: "SecretNotFound", message: "" } as const;
      assert.deepEqual(shown({ secrets: absent }), ["Unknown TypeUnknown", "False SecretNotFound"]);
    });
  });

  it("stays valid with warnings, and says them", () => {
    const faults = [fault("hsot", "warning")];
    assert.equal(verdicts({ faults }).MetadataValid, "True HasWarnings");
    assert.equal(messageOf("MetadataValid", { faults }), 'hsot: got "x", want another');
  });

  it("tells all errors of a manifest at once, and no warning beside them", () => {
    const faults = [fault("a"), fault("w", "warning"), fault("b")];
    assert.equal(messageOf("MetadataValid", { faults }), 'a: got "x", want another; b: got "x", want another');
  });

  it("tells where the last good one serves from where nothing does", () => {
    const kept = report("a-1", { state: "kept", generation: 2, message: "no route" });
    assert.equal(verdicts({ reports: [kept, report("a-2")] }).Ready, "False LastGoodKept");
    assert.equal(verdicts({ reports: [kept, report("a-2", { state: "failed" })] }).Ready, "False NotLoaded");
  });

  it("names pod, app and count of what does not work, the same whatever the order of the reports", () => {
    const down = { reachable: false, message: "connection refused" };
    const reports = [report("b-1", down), report("a-2", down), report("a-1")];
    const message = "the store does not answer 2 of 3 sidecars; pod a-2 of app a: connection refused";
    assert.equal(messageOf("StoreReachable", { reports }), message);
    assert.equal(messageOf("Ready", { reports: reports.toReversed() }), message);
    assert.equal(verdicts({ reports }).StoreReachable, "False Partly");
  });

  it("waits for sidecars that have an earlier generation", () => {
    const reports = [report("a-1", { generation: 2 }), report("a-2")];
    assert.equal(verdicts({ reports }).Ready, "Unknown Pending");
    assert.equal(messageOf("Ready", { reports }), "1 of 2 sidecars not on generation 3 yet");
  });

  it("lists apps by their id, with the first that is not ready", () => {
    const down = { reachable: false, message: "refused" };
    const reports = [report("b-1"), report("a-2", down), report("a-1"), report("a-3", down)];
    const { apps } = statusOf({ ...KNOWN, reports }, null, 0);
    const lastTransitionTime = "1970-01-01T00:00:00Z";
    assert.deepEqual(apps, [
      { appId: "a", ready: 1, total: 3, message: "pod a-2: refused", lastTransitionTime },
      { appId: "b", ready: 1, total: 1, lastTransitionTime },
    ]);
  });

  it("lists at most so many apps, those with trouble first", () => {
    const reports = Array.from({ length: 2 * APPS_MAX }, (_, i) =>
      report(`app${String(i).padStart(3, "0")}-1`, i === 150 ? { state: "failed" } : {}),
    );
    const { apps } = statusOf({ ...KNOWN, reports }, null, 0);
    assert.equal(apps.length, APPS_MAX);
    assert.equal(apps.at(-1)?.appId, "app150");
  });

  it("cuts messages that are too long", () => {
    const faults = Array.from({ length: 100 }, (_, i) => fault(`field${i}`));
    assert.equal(messageOf("MetadataValid", { faults }).length, MESSAGE_MAX);
  });

  it("keeps the time of what stays, and moves that of what changes", () => {
    const first = statusOf({ ...KNOWN, reports: [report("a-1")] }, null, 0);
    const same = statusOf({ ...KNOWN, reports: [report("a-1"), report("a-2")] }, first, 60_000);
    const worse = statusOf({ ...KNOWN, reports: [report("a-1", { state: "failed" })] }, same, 120_000);
    const times = [same, worse].flatMap(({ conditions, apps }) => [
      conditions.map(({ lastTransitionTime }) => lastTransitionTime.slice(14, 19)),
      apps.map(({ lastTransitionTime }) => lastTransitionTime.slice(14, 19)),
    ]);
    assert.deepEqual(times, [
      ["00:00", "00:00", "00:00", "00:00"],
      ["00:00"],
      ["02:00", "00:00", "00:00", "00:00"],
      ["02:00"],
    ]);
  });

  it("is read back from the cluster as it was made, whatever else stands beside it", () => {
    const status = statusOf({ ...KNOWN, reports: [report("b-1"), report("a-1", { state: "kept" })] }, null, 0);
    const { conditions, apps } = status;
    const foreign = { type: "Approved", status: "True", reason: "Yes", message: "", lastTransitionTime: "" };
    const shown = {
      other: 1,
      apps: [...apps].reverse(),
      conditions: [foreign, ...conditions.toReversed(), null],
      observedGeneration: 3,
    };
    assert.equal(JSON.stringify(shownStatus(shown)), JSON.stringify(status));
    for (const none of [undefined, null, "text", [], {}, { observedGeneration: 1 }])
      assert.equal(shownStatus(none), null);
  });
});

describe("announcements", () => {
  const told = (previous: Partial<Known> | null, next: Partial<Known>): readonly string[] => {
    const before = previous === null ? null : statusOf({ ...KNOWN, ...previous }, null, 0);
    const after = statusOf({ ...KNOWN, ...next }, before, 0);
    return announcementsOf(before, after).map(({ type, reason }) => `${type} ${reason}`);
  };
  const down = { reports: [report("a-1", { reachable: false })] };
  const up = { reports: [report("a-1")] };

  it("are silent on a first sight without trouble, and on what stays", () => {
    assert.deepEqual(told(null, {}), []);
    assert.deepEqual(told(down, down), []);
    assert.deepEqual(told(up, { reports: [report("a-1"), report("a-2")] }), []);
  });

  it("tell a trouble once, by its cause", () => {
    assert.deepEqual(told(null, down), ["Warning Unreachable"]);
    assert.deepEqual(told(up, { reports: [report("a-1", { state: "failed" })] }), ["Warning NotLoaded"]);
  });

  it("tell the end of a trouble, and that it is ready", () => {
    assert.deepEqual(told(down, up), ["Normal Ready", "Normal StoreReachable"]);
    assert.deepEqual(told({}, up), ["Normal Ready"]);
  });

  it("tell another reason for the same trouble", () => {
    const absent = { secrets: { status: "False", reason: "SecretNotFound", message: "" } } as const;
    const keyless = { secrets: { status: "False", reason: "KeyNotFound", message: "" } } as const;
    assert.deepEqual(told(absent, keyless), ["Warning KeyNotFound"]);
  });
});

describe("command that grants Secrets", () => {
  const installation = {
    release: "pannier",
    chart: "charts/pannier",
    namespace: "pannier-system",
    serviceAccount: "pannier-operator",
    secretNamespaces: ["b", "a"],
  };

  it("names what is granted already, since Helm replaces lists", () => {
    assert.match(grantCommand(installation, "c"), /--reset-then-reuse-values --set 'secrets\.namespaces=\{a,b,c\}'$/);
    assert.match(grantCommand(installation, "a"), /=\{a,b\}'$/);
  });

  it("needs no Helm where there was none", () => {
    const command = grantCommand({ ...installation, release: "" }, "c");
    assert.match(command, /^kubectl -n c create role .* && kubectl -n c create rolebinding /);
    assert.match(command, /--serviceaccount=pannier-system:pannier-operator$/);
  });
});
