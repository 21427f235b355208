import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { STORE_TYPE_NAMES, STORE_TYPES } from "#sidecar/stores/registry.ts";

describe("crds/admission-policy.yaml", () => {
  const text = readFileSync(new URL("../../../crds/admission-policy.yaml", import.meta.url), "utf8");

  it("knows every type that has a driver, under each of its names, and no other", () => {
    const list = /variables\.isState \|\| variables\.type\.lowerAscii\(\) in \[([^\]]*)\]/.exec(text)?.[1] ?? "";
    const known = [...list.matchAll(/'([^']+)'/g)].map((match) => match[1] ?? "");
    assert.deepEqual(known.toSorted(), [...STORE_TYPE_NAMES].toSorted());
    const said = /Pannier has no such store; it has ([^']+)'/.exec(text)?.[1]?.match(/state\.[a-z.-]+/g) ?? [];
    assert.deepEqual([...said].toSorted(), [...STORE_TYPES]);
  });
});
