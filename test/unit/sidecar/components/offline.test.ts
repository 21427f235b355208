// Stand-ins for values that only a running sidecar knows.
import assert from "node:assert/strict";
import { parseComponent } from "#crds/component.ts";
import { decodeFields, pattern, text, whole, word } from "#crds/fields.ts";
import { offlineProperties, withoutStandIns } from "#sidecar/components/offline.ts";

const table = {
  host: text({ fallback: "", required: true, doc: "" }),
  port: whole({ fallback: 1, min: 1, max: 9, doc: "", aliases: ["door"] }),
  mode: word({ fallback: "a", words: ["a", "b"], doc: "" }),
  code: pattern({ fallback: null, shape: /^#+$/, want: "marks", doc: "" }),
};

function judge(metadata: readonly object[]): string[] {
  const spec = { type: "state.test", metadata };
  const { component } = parseComponent({
    apiVersion: "dapr.io/v1alpha1",
    kind: "Component",
    metadata: { name: "c" },
    spec,
  });
  assert.ok(component);
  const { faults } = decodeFields(table, offlineProperties(component, [table]), { others: [], page: "docs" });
  return withoutStandIns(faults, component).map(({ severity, field }) => `${severity} ${field}`);
}

const secret = (name: string): object => ({ name, secretKeyRef: { name: "s" } });

describe("a manifest without its secrets", () => {
  it("has no fault in a field whose value is not known, not even where no stand-in fits", () => {
    assert.deepEqual(judge([secret("host"), secret("DOOR"), secret("code"), { name: "mode", envRef: "M" }]), []);
  });

  it("has the faults of the other fields and of the names", () => {
    const metadata = [secret("prot"), { name: "port", value: "ten" }, { name: "mode", value: "{appID}" }];
    assert.deepEqual(judge(metadata).sort(), ["error host", "error mode", "error port", "warning prot"]);
  });
});
