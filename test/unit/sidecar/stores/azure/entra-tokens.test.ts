// Signing in at Entra ID, as far as it goes without one: which ways are set up, and what is told of one that fails.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "#kit/clock.ts";
import { cloudOf } from "#sidecar/stores/azure/clouds.ts";
import type { EntraSettings } from "#sidecar/stores/azure/entra-fields.ts";
import { type EntraTokens, entraTokens } from "#sidecar/stores/azure/entra-tokens.ts";
import { type IdentityEndpoint, startIdentityEndpoint } from "#test/servers/identity-endpoint.ts";
import { eventually } from "#test/stores/eventually.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";

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

function tokens(given: Partial<EntraSettings>, clock: Clock = systemClock): Promise<EntraTokens> {
  const cloud = cloudOf("");
  assert.ok(cloud !== null);
  return entraTokens({ ...NONE, ...given }, { scope: "https://storage.azure.com/.default", cloud, clock });
}

describe("a sign-in at Entra ID", () => {
  it("is refused where the only way is one that this pod is not set up for", async () => {
    await assert.rejects(tokens({ azureAuthMethods: "wi" }), { code: "unavailable", message: /none of the ways/ });
  });

  describe("by a managed identity that never answers", () => {
    // App Service's way to one.
    const questions = new Set<IncomingMessage>();
    let silent: IdentityEndpoint;
    let asked: number;
    before(async () => {
      silent = await startIdentityEndpoint((request) => {
        asked++;
        questions.add(request);
        request.once("close", () => questions.delete(request));
      });
    });
    beforeEach(() => {
      asked = 0;
    });
    after(() => silent.stop());
    const isAsked = (): Promise<void> => eventually(async () => assert.ok(questions.size > 0));
    const isOver = (): Promise<void> => eventually(async () => assert.equal(questions.size, 0));

    it("is given up, with its question, and is begun anew by the next call", async () => {
      const clock = new ManualClock();
      const source = await tokens({ azureAuthMethods: "mi" }, clock);
      for (let time = 1; time <= 2; time++) {
        const late = assert.rejects(source.current(), { code: "unavailable", message: /no token within 4 s/ });
        await isAsked();
        await clock.advance(4_000);
        await late;
        await isOver();
        assert.deepEqual([asked, clock.timers], [time, 0]);
      }
    });

    it("is given up sooner where another way comes behind it, which is told of, whatever it says", async () => {
      const clock = new ManualClock();
      const given = { azureTenantId: "t", azureClientId: "c", azureCertificate: "-----BEGIN NONSENSE-----" };
      const both = await tokens({ ...given, azureAuthMethods: "mi,cert" }, clock);
      const failed = assert.rejects(both.current(), { code: "unavailable", message: /^cannot sign in at Entra ID/ });
      await isAsked();
      await clock.advance(2_000);
      await failed;
      await isOver();
    });

    for (const methods of ["mi", "mi,cli"])
      it(`leaves nothing behind when it is called off, by ${methods}`, async () => {
        const clock = new ManualClock();
        const source = await tokens({ azureAuthMethods: methods }, clock);
        const leaving = new AbortController();
        const left = assert.rejects(source.held(leaving.signal), { code: "closed", message: "the store was closed" });
        await isAsked();
        leaving.abort();
        await left;
        await isOver();
        assert.deepEqual([asked, clock.timers], [1, 0]);
      });
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
