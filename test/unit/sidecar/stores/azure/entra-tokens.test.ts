// Signing in at Entra ID, as far as it goes without one: which ways are set up, and what is told of one that fails.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "#kit/clock.ts";
import { cloudOf } from "#sidecar/stores/azure/clouds.ts";
import type { EntraSettings } from "#sidecar/stores/azure/entra-fields.ts";
import { entraTokens, type Tokens } from "#sidecar/stores/azure/entra-tokens.ts";
import { startIdentityEndpoint } from "#test/servers/identity-endpoint.ts";

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

function tokens(given: Partial<EntraSettings>, clock: Clock = systemClock): Promise<Tokens> {
  const cloud = cloudOf("");
  assert.ok(cloud !== null);
  return entraTokens({ ...NONE, ...given }, { scope: "https://storage.azure.com/.default", cloud, clock });
}

describe("a sign-in at Entra ID", () => {
  it("is refused where the only way is one that this pod is not set up for", async () => {
    await assert.rejects(tokens({ azureAuthMethods: "wi" }), { code: "unavailable", message: /none of the ways/ });
  });

  it("is given up where whoever is asked never answers, and is begun anew by the next call", async () => {
    // App Service's way to a managed identity: the library does not look at its signal here.
    const silent = await startIdentityEndpoint(() => undefined);
    const hasty: Clock = { ...systemClock, after: (delayMs, task) => systemClock.after(delayMs / 200, task) };
    try {
      const source = await tokens({ azureAuthMethods: "mi" }, hasty);
      for (let time = 0; time < 2; time++)
        await assert.rejects(source.current(), { code: "unavailable", message: /no token within 20 s/ });
      // Where another way comes behind it that one is tried too: it is told of, whatever it says.
      const given = { azureTenantId: "t", azureClientId: "c", azureCertificate: "-----BEGIN NONSENSE-----" };
      const both = await tokens({ ...given, azureAuthMethods: "mi,cert" }, hasty);
      await assert.rejects(both.current(), { code: "unavailable", message: /^cannot sign in at Entra ID/ });
    } finally {
      silent.stop();
    }
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
