// Secrets in texts: each spelling of them goes, what is too short to be told from a word stays.
import assert from "node:assert/strict";
import { faultWithoutSecrets, withoutSecrets } from "#sidecar/components/redaction.ts";

describe("a text without secrets", () => {
  it("has stars where a secret stood, each time", () => {
    assert.equal(withoutSecrets("hunter2 and hunter2", ["hunter2"]), "*** and ***");
  });

  it("has nothing left of a secret that begins with another one", () => {
    assert.equal(withoutSecrets("hunter2secret", ["hunter2", "hunter2secret"]), "***");
  });

  it("has none in the spelling of a JSON string either", () => {
    assert.equal(withoutSecrets(JSON.stringify('say "it"\n'), ['say "it"\n']), '"***"');
  });

  it("keeps what is shorter than any secret worth the name", () => {
    assert.equal(withoutSecrets("a boolean", ["a", ""]), "a boolean");
  });
});

describe("a fault without secrets", () => {
  it("has no value when that holds a secret, and stars elsewhere", () => {
    const fault = {
      severity: "error",
      field: "host",
      got: "hunter2:1",
      want: "not hunter2",
      hint: "no hunter2",
    } as const;
    assert.deepEqual(faultWithoutSecrets(fault, ["hunter2"]), {
      severity: "error",
      field: "host",
      got: null,
      want: "not ***",
      hint: "no ***",
    });
  });

  it("stays as it is when there is none in it", () => {
    const fault = { severity: "error", field: "host", got: "h", want: "w", hint: null } as const;
    assert.deepEqual(faultWithoutSecrets(fault, ["hunter2"]), fault);
  });
});
