// Stand-ins for values that only a running sidecar knows.
import assert from "node:assert/strict";
import { parseComponent } from "#crds/component.ts";
import { decodeFields, pattern, text, whole, word } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { judgeOffline } from "#sidecar/components/offline.ts";

const table = {
  host: text({ fallback: "", required: true, doc: "" }),
  port: whole({ fallback: 1, min: 1, max: 9, doc: "", aliases: ["door"] }),
  mode: word({ fallback: "a", words: ["a", "b"], doc: "" }),
  code: pattern({ fallback: null, shape: /^#+$/, want: "marks", doc: "" }),
};

type Check = (settings: { readonly host: string; readonly port: number }) => readonly Fault[];

function judge(metadata: readonly object[], check: Check = () => []): string[] {
  const spec = { type: "state.test", metadata };
  const { component } = parseComponent({
    apiVersion: "dapr.io/v1alpha1",
    kind: "Component",
    metadata: { name: "c" },
    spec,
  });
  assert.ok(component);
  const faults = judgeOffline(component, [table], (properties) => {
    const decoded = decodeFields(table, properties, { others: [], page: "docs" });
    return [...decoded.faults, ...(decoded.settings === null ? [] : check(decoded.settings))];
  });
  return faults.map(({ severity, field }) => `${severity} ${field}`);
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

  const between = (field: string, severity: Fault["severity"]): Check => {
    return ({ host, port }) => {
      const fault = { severity, field, got: host, want: `more than ${port}`, hint: null };
      return host.length > port ? [] : [fault];
    };
  };

  it("has no fault between a field that is known and one that is not", () => {
    for (const severity of ["error", "warning"] as const) {
      const known = { name: "host", value: "h" };
      assert.deepEqual(judge([known, secret("door")], between("host", severity)), []);
      assert.deepEqual(judge([known, { name: "port", value: "3" }], between("host", severity)), [`${severity} host`]);
    }
  });

  it("has the faults that do not depend on what is not known", () => {
    const check: Check = ({ host }) => [{ severity: "warning", field: "host", got: host, want: "better", hint: null }];
    assert.deepEqual(judge([{ name: "host", value: "h" }, secret("port")], check), ["warning host"]);
    assert.deepEqual(judge([secret("host")], check), []);
  });
});
