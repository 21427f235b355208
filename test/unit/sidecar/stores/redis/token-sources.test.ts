// What a token endpoint is asked, proved with the public key; and what is told of an endpoint that gives no token.
import assert from "node:assert/strict";
import { createPrivateKey, verify } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { type Clock, never, systemClock } from "#kit/clock.ts";
import type { TokenSource } from "#sidecar/stores/redis/renewed-token.ts";
import { oidcSource } from "#sidecar/stores/redis/token-sources.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { freePort } from "#test/servers/free-port.ts";
import {
  type AssertionKey,
  answering,
  giving,
  makeAssertionKey,
  startTokenEndpoint,
  type TokenAnswer,
  type TokenEndpoint,
} from "#test/servers/token-endpoint.ts";

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const SECRET = "s3cr3t";

describe("a token endpoint", () => {
  let key: AssertionKey;
  let certificates: Certificates;
  let endpoint: TokenEndpoint;

  before(async function () {
    this.timeout(120_000);
    [key, certificates] = await Promise.all([makeAssertionKey(), makeCertificates()]);
  });
  beforeEach(async () => {
    endpoint = await startTokenEndpoint(certificates);
    endpoint.answer = giving("token-1", 3600);
  });
  afterEach(() => endpoint.stop());
  after(() => certificates?.remove());

  const still: Clock = { ...systemClock, nowMs: () => NOW_MS };
  function source(more: Readonly<Record<string, string>> = {}, clock: Clock = still): TokenSource {
    const settings = {
      redisUsername: "app",
      oidcTokenEndpoint: endpoint.url,
      oidcClientID: "orders",
      oidcClientAssertionCert: key.certificate,
      oidcClientAssertionKey: key.key,
      oidcResource: "",
      oidcAudience: "",
      oidcKid: "",
      oidcScopes: "openid",
      oidcCACert: certificates.authority,
    };
    return oidcSource({ ...settings, ...more }, { clock, random: { uuid: () => "one-time-id", fraction: () => 0 } });
  }
  async function asked(more: Readonly<Record<string, string>>): Promise<Record<string, string>> {
    await source(more).next(never);
    const question = endpoint.questions.at(-1) ?? assert.fail("nothing was asked");
    assert.deepEqual([question.method, question.path], ["POST", "/oauth/token"]);
    assert.equal(question.contentType, "application/x-www-form-urlencoded");
    return Object.fromEntries(question.form);
  }
  /** The parts of an assertion whose signature is that of the key. */
  function verified(assertion = ""): { header: unknown; claims: unknown } {
    const [header = "", claims = "", signature = ""] = assertion.split(".");
    const isOurs = verify(
      "sha256",
      Buffer.from(`${header}.${claims}`),
      key.publicKey,
      Buffer.from(signature, "base64url"),
    );
    assert.ok(isOurs, "the signature is not that of the key");
    const read = (part: string): unknown => JSON.parse(Buffer.from(part, "base64url").toString());
    return { header: read(header), claims: read(claims) };
  }

  it("is asked with an assertion that the key has signed, for one minute and for itself", async () => {
    const { client_assertion: assertion, ...form } = await asked({});
    assert.deepEqual(form, {
      grant_type: "client_credentials",
      client_id: "orders",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      scope: "openid",
    });
    const nowSec = Math.floor(NOW_MS / 1000);
    assert.deepEqual(verified(assertion), {
      header: { alg: "RS256", typ: "JWT" },
      claims: {
        iss: "orders",
        sub: "orders",
        aud: endpoint.url,
        iat: nowSec,
        nbf: nowSec,
        exp: nowSec + 60,
        jti: "one-time-id",
      },
    });
  });

  it("is told the key's id, the audience, the resource and the scopes of the fields", async () => {
    const { client_assertion: assertion, ...form } = await asked({
      oidcKid: "key-1",
      oidcAudience: "https://idp.example.com/realms/local",
      oidcResource: "api://redis & more",
      oidcScopes: " redis-prod,, orders ",
    });
    assert.equal(form.audience, "https://idp.example.com/realms/local");
    assert.equal(form.resource, "api://redis & more");
    assert.equal(form.scope, "redis-prod orders");
    const { header, claims } = verified(assertion);
    assert.deepEqual(header, { alg: "RS256", kid: "key-1", typ: "JWT" });
    assert.equal(Reflect.get(Object(claims), "aud"), "https://idp.example.com/realms/local");
  });

  it("is asked for the scope openid where oidcScopes names none", async () => {
    assert.equal((await asked({ oidcScopes: " , " })).scope, "openid");
  });

  it("takes a key in either form of PEM", async () => {
    const pkcs1 = createPrivateKey(key.key).export({ type: "pkcs1", format: "pem" }).toString();
    assert.match(pkcs1, /BEGIN RSA PRIVATE KEY/);
    verified((await asked({ oidcClientAssertionKey: pkcs1 })).client_assertion);
  });

  it("gives a token for the user of the manifest, good from the question on", async () => {
    const expected = { username: "app", password: "token-1", endsAtMs: NOW_MS + 3_600_000 };
    assert.deepEqual(await source().next(never), expected);
  });

  const lives: [what: string, answer: string, lifeMs: number][] = [
    ["that does not say how long its token is good is believed for a minute", `{"access_token":"t"}`, 60_000],
    ["whose token is good for ages is believed for a year", `{"access_token":"t","expires_in":1e300}`, 31_536_000_000],
    ["may tell the life of its token as text", `{"access_token":"t","expires_in":"3599"}`, 3_599_000],
    ["may say more than was asked", `{"access_token":"t","expires_in":5,"id_token":{}}`, 5_000],
  ];
  for (const [what, answer, lifeMs] of lives)
    it(what, async () => {
      endpoint.answer = answering(200, answer);
      assert.deepEqual(await source().next(never), { username: "app", password: "t", endsAtMs: NOW_MS + lifeMs });
    });

  const NO_LIFE = /: the expires_in of its answer is no number of seconds from 1$/;
  const wrong: [what: string, answer: TokenAnswer, message: RegExp][] = [
    ["answers 500", answering(500, SECRET), /: it answered 500$/],
    ["refuses the client", answering(401, `{"error":"invalid_client"}`), /: it answered 401 \(invalid_client\)$/],
    ["gives a reason of its own", answering(400, `{"error":"${SECRET}"}`), /: it answered 400$/],
    ["sends the client elsewhere", answering(307, "", { location: "https://127.0.0.1:1/" }), /: it answered 307$/],
    ["answers no JSON", answering(200, `<${SECRET}>`), /: its answer is no JSON object$/],
    ["answers nothing", answering(200, ""), /: its answer is no JSON object$/],
    ["answers null", answering(200, "null"), /: its answer is no JSON object$/],
    ["gives no token", answering(200, `{"id_token":"${SECRET}"}`), /: its answer has no access_token$/],
    ["gives an empty token", answering(200, `{"access_token":""}`), /: its answer has no access_token$/],
    ["gives a number for a token", answering(200, `{"access_token":1}`), /: its answer has no access_token$/],
    ["gives a token that has ended", giving(SECRET, 0), NO_LIFE],
    ["gives a token that ended before", giving(SECRET, -1), NO_LIFE],
    ["tells the life of its token by no text", answering(200, `{"access_token":"t","expires_in":""}`), NO_LIFE],
    ["tells the life of its token in words", answering(200, `{"access_token":"t","expires_in":"soon"}`), NO_LIFE],
    [
      "answers without end",
      (response) => void response.write("x".repeat(70_000)),
      /: its answer is longer than 65536 bytes$/,
    ],
    [
      "ends the connection in the middle",
      (response) => void response.writeHead(200, { "content-length": 9 }).write("{", () => response.destroy()),
      /: ECONNRESET$/,
    ],
    ["ends the connection before", (response) => void response.destroy(), /: ECONNRESET$/],
  ];
  for (const [what, answer, message] of wrong)
    it(`that ${what} is told of by its name and the field, and by nothing that it said`, async () => {
      endpoint.answer = answer;
      const error = await source({ oidcTokenEndpoint: `${endpoint.url}?code=${SECRET}` })
        .next(never)
        .catch((failure: unknown) => failure);
      assert.ok(error instanceof Error);
      assert.equal(Reflect.get(error, "code"), "unavailable");
      assert.ok(
        error.message.startsWith(`no token to sign in at redis with from ${endpoint.url} (oidcTokenEndpoint): `),
        error.message,
      );
      assert.match(error.message, message);
      assert.doesNotMatch(`${error.stack}${error.cause}`, new RegExp(`${SECRET}|PRIVATE|eyJ`));
    });

  const hasty: Clock = { ...still, after: (delayMs, task) => systemClock.after(delayMs / 100, task) };
  it("that begins an answer and does not end it is given up", async () => {
    endpoint.answer = (response) => void response.writeHead(200).write("{");
    await assert.rejects(source({}, hasty).next(never), { message: /: no answer within 4 s$/ });
  });

  it("that takes connections and says nothing, not even of TLS, is given up", async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const bound = silent.address();
    const port = bound !== null && typeof bound === "object" ? bound.port : 0;
    const given = { oidcTokenEndpoint: `https://127.0.0.1:${port}/t` };
    try {
      await assert.rejects(source(given, hasty).next(never), { message: /: no answer within 4 s$/ });
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => silent.close(resolve));
    }
  });

  it("is left when the store is closed", async () => {
    endpoint.answer = () => undefined;
    const leaving = new AbortController();
    const left = assert.rejects(source().next(leaving.signal), { code: "closed" });
    leaving.abort();
    await left;
  });

  it("that is not there is told of with the system's reason", async () => {
    const given = { oidcTokenEndpoint: `https://127.0.0.1:${await freePort()}/t` };
    await assert.rejects(source(given).next(never), { message: /\(oidcTokenEndpoint\): ECONNREFUSED$/ });
  });

  it("of an authority that nobody vouches for is told nothing", async () => {
    await assert.rejects(source({ oidcCACert: "" }).next(never), {
      message: /: the server's certificate is of an unknown authority; oidcCACert holds an authority to trust$/,
    });
    assert.deepEqual(endpoint.questions, []);
  });

  it("of another authority than that of the manifest is told nothing", async () => {
    await assert.rejects(source({ oidcCACert: key.certificate }).next(never), {
      message: /: the server's certificate is of an unknown authority; oidcCACert holds an authority to trust$/,
    });
    assert.deepEqual(endpoint.questions, []);
  });

  it("is trusted by the authorities of Node too where the manifest names one", async () => {
    const usual = getCACertificates("default");
    setDefaultCACertificates([...usual, certificates.authority]);
    try {
      assert.equal((await source({ oidcCACert: key.certificate }).next(never)).password, "token-1");
    } finally {
      setDefaultCACertificates(usual);
    }
  });

  it("is asked over http too where the manifest says so", async () => {
    const plain = await startTokenEndpoint();
    plain.answer = giving("token-1", 60);
    try {
      assert.equal((await source({ oidcTokenEndpoint: plain.url }).next(never)).password, "token-1");
    } finally {
      await plain.stop();
    }
  });
});
