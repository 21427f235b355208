// How logs call a Component.
import assert from "node:assert/strict";
import { title } from "#sidecar/components/naming.ts";

describe("the title of a Component", () => {
  const titles: [type: string, version: string, title: string][] = [
    ["state.redis", "v1", "orders (state.redis/v1)"],
    ["state.redis", "", "orders (state.redis/v1)"],
    ["state.postgresql", "v2", "orders (state.postgresql/v2)"],
    ["state.YugabyteDB", "", "orders (state.YugabyteDB/v2)"],
    ["state.yugabyte", "", "orders (state.yugabyte/v2)"],
  ];
  for (const [type, version, expected] of titles)
    it(`of type ${type} and version "${version}" names both as they are meant`, () => {
      assert.equal(title({ name: "orders", type, version }), expected);
    });
});
