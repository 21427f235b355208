// Who a driver is for Google: a service account that signs its own token. No test asks Google.
import assert from "node:assert/strict";
import { createVerify, generateKeyPairSync } from "node:crypto";
import { systemClock } from "#kit/clock.ts";
import { GoogleClient } from "#sidecar/stores/google/client.ts";
import { openCredentials } from "#sidecar/stores/google/credentials.ts";
import { checkServiceAccount, serviceAccountOf } from "#sidecar/stores/google/fields.ts";
import { StoreError } from "#sidecar/stores/store.ts";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const empty = {
  type: "",
  private_key_id: "",
  private_key: "",
  client_email: "",
  client_id: "",
  auth_uri: "",
  token_uri: "",
  auth_provider_x509_cert_url: "",
  client_x509_cert_url: "",
};
const given = { ...empty, private_key_id: "k1", private_key: pem, client_email: "app@p.iam.gserviceaccount.com" };

describe("a service account", () => {
  it("signs a token for Google's services with its key, and asks nobody", async () => {
    const credentials = await openCredentials(serviceAccountOf(given));
    const headers = new Map(await credentials.headers());
    const [, token = ""] = /^Bearer (.+)$/.exec(headers.get("authorization") ?? "") ?? [];
    const [head = "", claims = "", signature = ""] = token.split(".");
    const parsed = (part: string): Record<string, unknown> => JSON.parse(Buffer.from(part, "base64url").toString());
    assert.equal(parsed(head).kid, "k1");
    assert.equal(parsed(claims).iss, "app@p.iam.gserviceaccount.com");
    assert.equal(parsed(claims).scope, "https://www.googleapis.com/auth/cloud-platform");
    const verified = createVerify("RSA-SHA256").update(`${head}.${claims}`);
    assert.ok(verified.verify(publicKey, Buffer.from(signature, "base64url")));
  });

  it("may have the ends of its key's lines spelled out, as a key file has them", async () => {
    const account = serviceAccountOf({ ...given, private_key: pem.replaceAll("\n", "\\n") });
    assert.equal(account?.key, pem);
  });

  it("is what signs in exactly when there is an id of a key, as with Dapr", () => {
    assert.equal(serviceAccountOf({ ...given, private_key_id: "" }), null);
    assert.equal(serviceAccountOf(empty), null);
  });

  it("has to be whole", () => {
    const faults = (more: object): readonly string[] =>
      checkServiceAccount({ ...given, ...more }, "docs/stores/x.md").map(({ field, got }) => `${field} ${got}`);
    assert.deepEqual(faults({}), []);
    assert.deepEqual(faults({ private_key: "", client_email: "" }), ["private_key null", "client_email null"]);
    assert.deepEqual(faults({ private_key_id: "" }), ["private_key_id null"]);
    assert.deepEqual(faults({ type: "authorized_user" }), ["type null"]);
  });
});

describe("a call that has to sign in", () => {
  it("ends in time and unsent when nobody can, with the reason", async () => {
    const codec = { encode: () => ({ finish: () => new Uint8Array(0) }), decode: () => null };
    const method = { path: "/a/b", effect: "write", request: codec, response: codec } as const;
    const hangs = { headers: () => new Promise<never>(() => undefined) };
    const fails = { headers: () => Promise.reject(new StoreError("unavailable", "cannot sign in at Google: no file")) };
    const endpoint = { address: "127.0.0.1:1", isService: true };
    const how = (ms: number) => ({
      signal: new AbortController().signal,
      deadlineMs: systemClock.monotonicMs() + ms,
      headers: [],
    });
    for (const [credentials, error] of [
      [hangs, { code: "timeout", message: "no answer from x at 127.0.0.1:1 in time" }],
      [fails, { code: "unavailable", message: "cannot sign in at Google: no file" }],
    ] as const) {
      const client = new GoogleClient({ service: "x", endpoint, credentials, clock: systemClock });
      await assert.rejects(client.ask(method, null, how(50)), error);
      client.close();
      await assert.rejects(client.ask(method, null, how(50)), { code: "closed" });
    }
  });
});
