// Signing in at Entra ID, as far as it goes without one: which ways are set up, and what is told of one that fails.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#kit/clock.ts";
import { cloudOf } from "#sidecar/stores/azure/clouds.ts";
import type { EntraSettings } from "#sidecar/stores/azure/entra-fields.ts";
import { entraTokens, type Tokens } from "#sidecar/stores/azure/entra-tokens.ts";

const NONE: EntraSettings = {
  azureTenantId: "",
  azureClientId: "",
  azureClientSecret: "",
  azureCertificate: "",
  azureCertificateFile: "",
  azureCertificatePassword: "",
  azureEnvironment: "",
  azureAuthMethods: "",
};

function tokens(given: Partial<EntraSettings>): Promise<Tokens> {
  const cloud = cloudOf("");
  assert.ok(cloud !== null);
  return entraTokens({ ...NONE, ...given }, { scope: "https://storage.azure.com/.default", cloud, clock: systemClock });
}

describe("a sign-in at Entra ID", () => {
  it("is refused where the only way is one that this pod is not set up for", async () => {
    await assert.rejects(tokens({ azureAuthMethods: "wi" }), { code: "unavailable", message: /none of the ways/ });
  });

  it("says that it failed, and nothing of what was in the fields", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pannier-entra-"));
    const file = join(folder, "cert.pem");
    await writeFile(file, "-----BEGIN NONSENSE-----\nhunter2\n-----END NONSENSE-----\n");
    const given = { azureTenantId: "tenant", azureClientId: "client", azureAuthMethods: "cert" };
    try {
      const source = await tokens({ ...given, azureCertificateFile: file, azureCertificatePassword: "hunter2" });
      await assert.rejects(source.current(), (error: Error) => {
        assert.match(error.message, /^cannot sign in at Entra ID \(\w+\)/);
        assert.doesNotMatch(`${error.stack}`, /hunter2/);
        return true;
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
