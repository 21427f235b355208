import assert from "node:assert/strict";
import { CONTAINERS_MAX, decide } from "#operator/inject/decide.ts";
import { defaultSettings } from "#operator/inject/settings.ts";

const SETTINGS = defaultSettings("pannier-system");

describe("decide, over many containers", () => {
  it("refuses a pod with more containers than it looks at", () => {
    const containers = Array.from({ length: CONTAINERS_MAX + 1 }, (_, nth) => ({ name: `c${nth}`, image: "x" }));
    const metadata = { name: "app", annotations: { "dapr.io/enabled": "true" } };
    const decided = (count: number) =>
      decide({ metadata, spec: { containers: containers.slice(0, count) } }, "shop", SETTINGS);
    assert.deepEqual([decided(CONTAINERS_MAX).outcome, decided(CONTAINERS_MAX + 1).reason], ["inject", "too-many"]);
  });
});
