import assert from "node:assert/strict";
import type { Counts } from "#sidecar/resiliency/breaker.ts";
import { compileTrip } from "#sidecar/resiliency/trip.ts";

const counts: Counts = {
  requests: 10,
  totalSuccesses: 4,
  totalFailures: 6,
  consecutiveSuccesses: 0,
  consecutiveFailures: 6,
};

describe("a trip expression", () => {
  const cases: [string, boolean][] = [
    ["consecutiveFailures > 5", true],
    ["consecutiveFailures >= 7 && requests > 1", false],
    ["totalFailures * 10 / requests >= 6", true],
    ["double(totalFailures) / double(requests) > 0.5", true],
    ["requests > 20 || totalFailures - totalSuccesses == 2", true],
    ["consecutiveSuccesses == 0 ? true : false", true],
  ];
  for (const [text, wanted] of cases) {
    it(`gives ${wanted} for ${text}`, () => {
      const compiled = compileTrip(text);
      assert.ok("trip" in compiled);
      assert.equal(compiled.trip(counts), wanted);
    });
  }

  const wrong: [string, RegExp][] = [
    ["consecutiveFailures >", /Unexpected token/],
    ["consecutiveFailure > 5", /Unknown variable: consecutiveFailure; did you mean consecutiveFailures\?$/],
    ["env.HOME == ''", /Unknown variable: env/],
    ["requests", /it gives a value of type int/],
    ["dyn(true)", /it gives a value of type dyn/],
    ["requests / 0 > 1", /division by zero/],
    [`requests in [${"1, ".repeat(20)}1]`, /over requests, .*: ./],
    [`requests > ${"1 + ".repeat(150)}1`, /over requests, .*: ./],
    [`requests > 1 ${" ".repeat(1000)}`, /^an expression of at most 1000 characters$/],
    ["", /over requests/],
  ];
  for (const [text, want] of wrong) {
    it(`is refused: ${text.slice(0, 40)}`, () => {
      const compiled = compileTrip(text);
      assert.ok("want" in compiled, "it was taken");
      assert.match(compiled.want, want);
    });
  }
});
