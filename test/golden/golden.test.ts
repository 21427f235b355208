// `npm run golden` writes the files anew; their changes are then read as a diff.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { applyPatch } from "rfc6902";
import { decide } from "#operator/inject/decide.ts";
import type { Pod } from "#operator/inject/object.ts";
import { patchOf } from "#operator/inject/patch.ts";
import { DENIED, INJECTED, SKIPPED } from "#operator/inject/reasons.ts";
import { uninject } from "#operator/inject/uninject.ts";
import { goldenCases, NAMESPACE, outcomeOf, settingsOf } from "./cases.ts";

/** Proved in decide.test.ts: a pod of five hundred containers is no file to read. */
const TOO_LONG_FOR_A_FILE = ["too-many"];

const REFRESH = process.env.REFRESH_GOLDEN === "1";

describe("golden pods", () => {
  const cases = goldenCases();

  it("are many", () => {
    assert.ok(cases.length >= 25, String(cases.length));
  });

  it("meet every reason that there is", () => {
    const met = cases.map((golden) => decide(golden.pod, NAMESPACE, settingsOf(golden)).reason);
    const reasons = [INJECTED, SKIPPED, DENIED].flatMap((each) => Object.keys(each));
    assert.deepEqual(
      reasons.filter((reason) => !met.some((each) => each === reason)),
      TOO_LONG_FOR_A_FILE,
    );
  });

  for (const golden of cases) {
    describe(golden.name, () => {
      const { want, report } = outcomeOf(golden);
      const decision = decide(golden.pod, NAMESPACE, settingsOf(golden));

      it("comes out as wanted", () => {
        if (REFRESH) {
          writeFileSync(`${golden.folder}/want.yaml`, want);
          writeFileSync(`${golden.folder}/report.txt`, report);
        }
        const read = (name: string): string => {
          const path = `${golden.folder}/${name}`;
          return existsSync(path) ? readFileSync(path, "utf8") : "";
        };
        assert.equal(report, read("report.txt"));
        assert.equal(want, read("want.yaml"));
      });

      if (decision.outcome !== "inject") return;

      it("is reached by the patch", () => {
        const patched: unknown = structuredClone(golden.pod);
        const results = applyPatch(patched, patchOf(golden.pod as Pod, decision.pod));
        assert.deepEqual(
          results.filter((each) => each !== null),
          [],
        );
        assert.deepEqual(patched, decision.pod);
      });

      it("is not changed by a second injection", () => {
        const again = decide(decision.pod, NAMESPACE, settingsOf(golden));
        assert.ok(again.outcome === "inject");
        assert.equal(again.reason, "already-injected");
        assert.deepEqual(patchOf(decision.pod, again.pod), []);
      });

      it("loses its sidecar again", () => {
        const removal = uninject(decision.pod);
        assert.ok(removal.outcome === "removed");
        const text = JSON.stringify(removal.pod);
        for (const trace of [
          "daprd",
          "dapr-identity-token",
          "dapr-unix-domain-socket",
          "dapr-components-unix-domain-socket",
          "injected-by",
          "injected-components",
        ])
          assert.ok(!text.includes(`"${trace}"`), trace);
        const back = decide(removal.pod, NAMESPACE, settingsOf(golden));
        assert.ok(back.outcome === "inject");
        if (decision.reason !== "already-injected") assert.deepEqual(back.pod.spec, decision.pod.spec);
      });
    });
  }
});
