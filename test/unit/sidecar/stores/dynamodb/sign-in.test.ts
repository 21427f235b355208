// Whose requests they are: keys, temporary keys, a role that is taken on, what the pod has; and what is said where none of
// it works. The security token service and the pod's agent are fakes of ours: neither comes with DynamoDB Local, which
// takes any keys.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StoreError } from "#sidecar/stores/store.ts";
import { makeCertificates } from "#test/servers/certificates.ts";
import { describeWithDynamo } from "#test/servers/dynamodb.ts";
import type { Asked, DynamoFront } from "#test/servers/dynamodb-front.ts";
import { call, onOneServer, openStore, prepare, textOf, write } from "./fixture.ts";

/** Variables in which the SDK looks for keys, a region or services; unset before each test and put back after it. */
const VARIABLES = [
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_REGION",
  "AWS_DEFAULT_REGION",
  "AWS_PROFILE",
  "AWS_CONFIG_FILE",
  "AWS_SHARED_CREDENTIALS_FILE",
  "AWS_ROLE_ARN",
  "AWS_WEB_IDENTITY_TOKEN_FILE",
  "AWS_CONTAINER_CREDENTIALS_FULL_URI",
  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
  "AWS_CONTAINER_AUTHORIZATION_TOKEN",
  "AWS_EC2_METADATA_DISABLED",
  "AWS_ENDPOINT_URL_STS",
];

interface Fake {
  readonly url: string;
  /** Path and body of each request. */
  readonly asked: readonly string[];
  readonly headers: Readonly<Record<string, unknown>>[];
}

const SESSION = `<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s3cr3t</SecretAccessKey>
  <SessionToken>token-of-role</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>`;
const ASSUMED = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>${SESSION}
  </AssumeRoleResult></AssumeRoleResponse>`;
const REFUSED = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
  <Code>AccessDenied</Code><Message>s3cr3t is not authorized</Message></Error></ErrorResponse>`;

describeWithDynamo("who signs in to DynamoDB", () => {
  const { metadata, openThroughFront, server, keep } = onOneServer();
  const before = new Map<string, string | undefined>();

  beforeEach(() => {
    for (const name of VARIABLES) {
      before.set(name, process.env[name]);
      delete process.env[name];
    }
    // Else it looks for an instance's service on the network, for seconds.
    process.env.AWS_EC2_METADATA_DISABLED = "true";
    process.env.AWS_CONFIG_FILE = "/nonexistent";
    process.env.AWS_SHARED_CREDENTIALS_FILE = "/nonexistent";
  });
  afterEach(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  async function fake(status: number, type: string, text: string): Promise<Fake> {
    const asked: string[] = [];
    const headers: Readonly<Record<string, unknown>>[] = [];
    const http: Server = createServer(async (incoming, outgoing) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk);
      asked.push(`${incoming.url} ${Buffer.concat(chunks).toString()}`);
      headers.push(incoming.headers);
      outgoing.writeHead(status, { "content-type": type }).end(text);
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    keep(http, async () => {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    });
    const address = http.address();
    return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`, asked, headers };
  }

  const NO_KEYS = { accessKey: "", secretKey: "" };
  const last = (front: DynamoFront): Asked["headers"] => front.asked.at(-1)?.headers ?? {};
  const signer = (front: DynamoFront): string | undefined =>
    /Credential=([^/]+)\/\d+\/([^/]+)\/dynamodb/
      .exec(String(last(front).authorization))
      ?.slice(1)
      .join(" in ");

  it("is who has the keys of the manifest, in its region", async () => {
    const { front } = await openThroughFront({ accessKey: "AKIAMANIFEST", region: "eu-central-1" });
    assert.equal(signer(front), "AKIAMANIFEST in eu-central-1");
    assert.equal(last(front)["x-amz-security-token"], undefined);
  });

  it("sends the token of temporary keys with them", async () => {
    const { front } = await openThroughFront({ sessionToken: "token-of-manifest" });
    assert.equal(last(front)["x-amz-security-token"], "token-of-manifest");
  });

  it("is who the environment names where the manifest names nobody", async () => {
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: "AKIAENV",
      AWS_SECRET_ACCESS_KEY: "s3cr3t",
      AWS_REGION: "eu-west-3",
    });
    const { front } = await openThroughFront({ ...NO_KEYS, region: "" });
    assert.equal(signer(front), "AKIAENV in eu-west-3");
  });

  it("takes on a role by the keys of the manifest, and keeps its session", async () => {
    const sts = await fake(200, "text/xml", ASSUMED);
    process.env.AWS_ENDPOINT_URL_STS = sts.url;
    const role = { assumeRoleArn: "arn:aws:iam::123456789012:role/orders", assumeRoleSessionName: "orders-app" };
    const { front, store } = await openThroughFront({ accessKey: "AKIAMANIFEST", ...role });
    await store.set(write("role", "1"), call);
    assert.equal(signer(front), "ASIAROLE in us-east-1");
    assert.equal(last(front)["x-amz-security-token"], "token-of-role");
    const [asked = "", ...more] = sts.asked;
    assert.deepEqual(more, []);
    const query = new URLSearchParams(asked.slice(2));
    assert.deepEqual(
      ["Action", "RoleArn", "RoleSessionName"].map((name) => query.get(name)),
      ["AssumeRole", role.assumeRoleArn, role.assumeRoleSessionName],
    );
    assert.match(String(sts.headers[0]?.authorization), /Credential=AKIAMANIFEST\/\d+\/us-east-1\/sts\//);
  });

  it("takes on the role of a service account by its token", async () => {
    const text = ASSUMED.replaceAll("AssumeRoleRes", "AssumeRoleWithWebIdentityRes");
    const sts = await fake(200, "text/xml", text);
    const folder = await mkdtemp(join(tmpdir(), "pannier-token-"));
    keep(folder, () => rm(folder, { recursive: true }));
    await writeFile(join(folder, "token"), "token-of-service-account");
    process.env.AWS_ENDPOINT_URL_STS = sts.url;
    process.env.AWS_ROLE_ARN = "arn:aws:iam::123456789012:role/orders";
    process.env.AWS_WEB_IDENTITY_TOKEN_FILE = join(folder, "token");
    const { front } = await openThroughFront(NO_KEYS);
    assert.equal(signer(front), "ASIAROLE in us-east-1");
    const query = new URLSearchParams((sts.asked[0] ?? "").slice(2));
    assert.deepEqual(
      ["Action", "RoleArn", "WebIdentityToken"].map((name) => query.get(name)),
      ["AssumeRoleWithWebIdentity", process.env.AWS_ROLE_ARN, "token-of-service-account"],
    );
  });

  it("takes what the pod's agent hands out, with the pod's own token", async () => {
    const keys = {
      AccessKeyId: "ASIAPOD",
      SecretAccessKey: "s3cr3t",
      Token: "token-of-pod",
      Expiration: "2099-01-01T00:00:00Z",
    };
    const agent = await fake(200, "application/json", JSON.stringify(keys));
    process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI = `${agent.url}/v1/credentials`;
    process.env.AWS_CONTAINER_AUTHORIZATION_TOKEN = "token-of-service-account";
    const { front } = await openThroughFront(NO_KEYS);
    assert.equal(signer(front), "ASIAPOD in us-east-1");
    assert.equal(last(front)["x-amz-security-token"], "token-of-pod");
    assert.deepEqual(agent.headers[0]?.authorization, "token-of-service-account");
  });

  it("does not open for a role that may not be taken on, and does not take it for a refusal of DynamoDB's", async () => {
    const sts = await fake(403, "text/xml", REFUSED);
    process.env.AWS_ENDPOINT_URL_STS = sts.url;
    const given = metadata({ assumeRoleArn: "arn:aws:iam::123456789012:role/orders" });
    const place = `127.0.0.1:${server().port}`;
    await assert.rejects(openStore(given), {
      code: "unavailable",
      message: `no AWS credentials for DynamoDB at ${place} (AccessDenied); see accessKey, assumeRoleArn and roles in docs/stores/aws.dynamodb.md`,
    });
  });

  it("does not open without keys, or without a region", async () => {
    await assert.rejects(openStore(metadata(NO_KEYS)), {
      code: "unavailable",
      message: /^no AWS credentials for DynamoDB at .* \(CredentialsProviderError\)/,
    });
    await assert.rejects(openStore(metadata({ region: "" })), {
      code: "unavailable",
      message: /^there is no region: set region/,
    });
  });

  it("does not wait for keys longer than the caller does", async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    keep(silent, async () => {
      silent.closeAllConnections();
      await new Promise((resolve) => silent.close(resolve));
    });
    const address = silent.address();
    process.env.AWS_ENDPOINT_URL_STS = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    const given = metadata({ assumeRoleArn: "arn:aws:iam::123456789012:role/orders" });
    await assert.rejects(openStore(given, { signal: AbortSignal.timeout(200) }), { code: "timeout" });
  });

  for (const [type, more] of [
    ["UnrecognizedClientException", /does not accept the access key or its signature \(UnrecognizedClientException\)/],
    ["InvalidSignatureException", /does not accept the access key or its signature/],
    ["ExpiredTokenException", /the session of the keys for DynamoDB at .* has expired/],
    ["AccessDeniedException", /does not allow this; see the rights in docs\/stores\/aws\.dynamodb\.md/],
  ] as const) {
    it(`does not open when the service says ${type}, and shows no key`, async () => {
      const { front } = await openThroughFront();
      front.answer = () => ({ status: 400, type });
      const opened = openStore(metadata({ endpoint: front.endpoint, secretKey: "s3cr3t", sessionToken: "t0ken" }));
      await assert.rejects(opened, (error) => {
        assert.ok(error instanceof StoreError && error.code === "unavailable");
        assert.match(error.message, more);
        assert.doesNotMatch(`${error.stack} ${String(error.cause)}`, /s3cr3t|t0ken/);
        return true;
      });
    });
  }

  it("learns the service's time where the own clock is wrong, and signs again", async () => {
    const { front, store } = await openThroughFront();
    const date = new Date(Date.now() + 3_600_000);
    front.next("PutItem", { status: 400, type: "InvalidSignatureException", headers: { date: date.toUTCString() } });
    await store.set(write("skewed", "1"), call);
    assert.equal(await textOf(store, "skewed"), "1");
    const signed = front.of("PutItem").map(({ headers }) => String(headers["x-amz-date"]));
    assert.equal(signed.length, 2);
    const hour = date.toISOString().slice(0, 13).replaceAll("-", "");
    assert.ok(signed[1]?.startsWith(hour), signed.join());
  });

  it("does not speak to a service whose certificate nobody trusts", async () => {
    const certificates = await makeCertificates();
    keep(certificates, () => certificates.remove());
    const [cert, key] = [certificates.serverCertificateFile, certificates.serverKeyFile].map((file) =>
      readFileSync(file),
    );
    assert.ok(cert !== undefined && key !== undefined);
    const https = createTlsServer({ cert, key }, (_incoming, outgoing) => void outgoing.end());
    await new Promise<void>((resolve) => https.listen(0, "127.0.0.1", resolve));
    keep(https, () => new Promise((resolve) => https.close(resolve)));
    const address = https.address();
    const endpoint = `https://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    await assert.rejects(openStore(metadata({ endpoint })), {
      code: "unavailable",
      message: /check endpoint and its certificate/,
    });
  });

  it("has a fingerprint that differs by its keys, which no fault shows", () => {
    const given = metadata();
    assert.notEqual(prepare(given).fingerprint, prepare({ ...given, secretKey: "another" }).fingerprint);
  });
});
