// secretstores.local.env, and which variables a manifest may read.
import assert from "node:assert/strict";
import { localEnv } from "#sidecar/secrets/local-env.ts";
import type { Secret } from "#sidecar/secrets/store.ts";
import { refusal } from "#sidecar/secrets/variables.ts";

async function get(name: string, env: Record<string, string>, prefix = ""): Promise<Secret | null> {
  const store = await localEnv
    .prepare([{ name: "Prefix", value: prefix, secret: false }])
    .open({ env, inCluster: false });
  return store.get(name);
}

describe("a secret store of the environment", () => {
  it("has each variable under its name, also an empty one", async () => {
    assert.deepEqual(await get("A", { A: "1" }), { A: "1" });
    assert.deepEqual(await get("A", { A: "" }), { A: "" });
    assert.equal(await get("B", { A: "1" }), null);
    assert.equal(await get("constructor", {}), null);
  });

  it("puts the prefix before the variable's name, not before the secret's", async () => {
    assert.deepEqual(await get("A", { APP_A: "1" }, "APP_"), { A: "1" });
    assert.equal(await get("APP_A", { APP_A: "1" }, "APP_"), null);
  });

  it("does not give out the sidecar's own variables", async () => {
    const env = { APP_API_TOKEN: "t", DAPR_API_TOKEN: "t", dapr_x: "t" };
    for (const name of Object.keys(env)) assert.equal(await get(name, env), null);
    assert.equal(await get("API_TOKEN", env, "DAPR_"), null);
  });
});

describe("a variable", () => {
  it("is refused by name, with a blank, or when the list does not have it", () => {
    assert.equal(refusal("A", {}), null);
    assert.match(refusal("app_api_token", {}) ?? "", /APP_API_TOKEN/);
    assert.match(refusal("DAPR_HTTP_PORT", {}) ?? "", /DAPR_\*/);
    assert.match(refusal("A B", {}) ?? "", /blanks/);
    const env = { DAPR_ENV_KEYS: "FIRST SECOND" };
    assert.equal(refusal("SECOND", env), null);
    assert.match(refusal("SECON", env) ?? "", /DAPR_ENV_KEYS/);
  });
});
