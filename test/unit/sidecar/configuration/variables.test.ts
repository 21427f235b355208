// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of the environment, no templates.
import assert from "node:assert/strict";
import { expandVariables } from "#sidecar/configuration/variables.ts";

describe("variables in a Configuration", () => {
  const env = { HOST: "otel", PORT: "4317", EMPTY: "" };
  const cases: [string, string][] = [
    ["address: ${HOST}:$PORT", "address: otel:4317"],
    ["${EMPTY}$MISSING${ALSO_MISSING}.", "."],
    ["$HOSTS costs 5$ or $-sign $", " costs 5$ or sign $"],
    ["$1$$ ${} ${HOST", "  ${HOST"],
  ];
  for (const [text, wanted] of cases) {
    it(`turn ${JSON.stringify(text)} into ${JSON.stringify(wanted)}`, () => {
      assert.equal(expandVariables(text, env).text, wanted);
    });
  }

  it("that are not set are told, each once", () => {
    assert.deepEqual(expandVariables("$HOST ${A} $B $A", env).missing, ["A", "B"]);
  });
});
