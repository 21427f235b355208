// Signing in by tokens: what is asked of whom, that each connection asks anew, and that no token leaves without TLS. A real
// server takes as password what a token service of ours hands out.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { type Clock, systemClock } from "#kit/clock.ts";
import { describeFault } from "#kit/fault.ts";
import { v2Fields } from "#sidecar/stores/postgresql/fields.ts";
import { openPasswords, type Passwords } from "#sidecar/stores/postgresql/passwords.ts";
import { planServer, type ServerPlan } from "#sidecar/stores/postgresql/server-plan.ts";
import { Session } from "#sidecar/stores/postgresql/session.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { startIdentityEndpoint } from "#test/servers/identity-endpoint.ts";
import { describeWithPostgres, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";
import { call, eventually, openStore, prepare, textOf, write } from "./fixture.ts";

type Settings = Parameters<typeof planServer>[0];

function settingsOf(more: Partial<Settings>): Settings {
  const defaults = Object.fromEntries(Object.entries(v2Fields).map(([name, field]) => [name, field.fallback]));
  return { ...(defaults as unknown as Settings), ...more };
}

function planOf(settings: Settings): ServerPlan {
  const { plan, faults } = planServer(settings, 1);
  assert.ok(plan !== null, faults.map(describeFault).join("\n"));
  return plan;
}

const KEYS = { awsAccessKey: "AKIDEXAMPLE", awsSecretKey: "s3cr3t" };
const never = new AbortController().signal;

/** What AWS's security token service answers. */
const ASSUMED = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
  <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s3cr3t</SecretAccessKey><SessionToken>token-of-role</SessionToken>
  <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`;

describe("a token of AWS IAM", () => {
  const connectionString = "postgres://app@db.eu-west-1.rds.amazonaws.com,other:6432/d";
  const open = (more: Partial<Settings> = {}): [Promise<Passwords>, ServerPlan] => {
    const settings = settingsOf({ connectionString, useAWSIAM: true, awsRegion: "eu-west-1", ...KEYS, ...more });
    const plan = planOf(settings);
    return [openPasswords(settings, plan, systemClock), plan];
  };

  it("is made out to the server, the user and the region, for 15 minutes, and holds no secret", async () => {
    const [opening, { endpoints }] = open();
    const passwords = await opening;
    for (const endpoint of endpoints) {
      const token = await passwords.next(endpoint, never);
      const url = new URL(`https://${token}`);
      assert.equal(url.host, `${endpoint.host}:${endpoint.port}`);
      const { searchParams: query } = url;
      assert.equal(query.get("Action"), "connect");
      assert.equal(query.get("DBUser"), "app");
      assert.equal(query.get("X-Amz-Expires"), "900");
      assert.match(query.get("X-Amz-Credential") ?? "", /^AKIDEXAMPLE\/\d{8}\/eu-west-1\/rds-db\/aws4_request$/);
      assert.equal(query.get("X-Amz-Security-Token"), null);
      assert.doesNotMatch(token, /s3cr3t/);
    }
  });

  it("carries the token of temporary keys", async () => {
    const [opening, { endpoints }] = open({ awsSessionToken: "of-a-while" });
    const [endpoint] = endpoints;
    assert.ok(endpoint !== undefined);
    const token = await (await opening).next(endpoint, never);
    assert.equal(new URL(`https://${token}`).searchParams.get("X-Amz-Security-Token"), "of-a-while");
  });

  it("is signed by a role that is taken on, where one is named", async () => {
    const asked: string[] = [];
    const service = createServer((request, response) => {
      request.on("data", (chunk: Buffer) => asked.push(chunk.toString()));
      request.on("end", () => response.setHeader("content-type", "text/xml").end(ASSUMED));
    });
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    const bound = service.address();
    assert.ok(bound !== null && typeof bound === "object");
    process.env.AWS_ENDPOINT_URL_STS = `http://127.0.0.1:${bound.port}`;
    try {
      const assumeRoleArn = "arn:aws:iam::123456789012:role/db";
      const [opening, { endpoints }] = open({ assumeRoleArn, assumeRoleSessionName: "orders" });
      const [endpoint] = endpoints;
      assert.ok(endpoint !== undefined);
      const { searchParams } = new URL(`https://${await (await opening).next(endpoint, never)}`);
      assert.match(searchParams.get("X-Amz-Credential") ?? "", /^ASIAROLE\//);
      assert.equal(searchParams.get("X-Amz-Security-Token"), "token-of-role");
      const body = new URLSearchParams(asked.join(""));
      assert.deepEqual([body.get("RoleArn"), body.get("RoleSessionName")], [assumeRoleArn, "orders"]);
    } finally {
      delete process.env.AWS_ENDPOINT_URL_STS;
      service.closeAllConnections();
      await new Promise((resolve) => service.close(resolve));
    }
  });

  it("is waited for no longer than the store is open, with nothing left behind", async () => {
    const service = createServer(() => undefined);
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    const bound = service.address();
    assert.ok(bound !== null && typeof bound === "object");
    process.env.AWS_ENDPOINT_URL_STS = `http://127.0.0.1:${bound.port}`;
    try {
      const timers = new Set<object>();
      const clock: Clock = {
        ...systemClock,
        after: (delayMs, task) => {
          const timer = systemClock.after(delayMs, task);
          timers.add(timer);
          const cancel = (): void => {
            timers.delete(timer);
            timer.cancel();
          };
          return { cancel };
        },
      };
      const role = { assumeRoleArn: "arn:aws:iam::123456789012:role/db" };
      const settings = settingsOf({ connectionString, useAWSIAM: true, awsRegion: "eu-west-1", ...KEYS, ...role });
      const plan = planOf(settings);
      const [endpoint] = plan.endpoints;
      assert.ok(endpoint !== undefined);
      const passwords = await openPasswords(settings, plan, clock);
      const leaving = new AbortController();
      const asking = passwords.next(endpoint, leaving.signal);
      leaving.abort();
      await assert.rejects(asking, { code: "closed" });
      assert.equal(timers.size, 0);
    } finally {
      delete process.env.AWS_ENDPOINT_URL_STS;
      service.closeAllConnections();
      await new Promise((resolve) => service.close(resolve));
    }
  });

  it("is not there where nobody gives credentials, which is an error without their text", async () => {
    const names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"];
    const before = names.map((name) => [name, process.env[name]] as const);
    for (const name of names) delete process.env[name];
    process.env.AWS_EC2_METADATA_DISABLED = "true";
    process.env.AWS_SHARED_CREDENTIALS_FILE = "/nowhere";
    try {
      const [opening, { endpoints }] = open({ awsAccessKey: "", awsSecretKey: "" });
      const [endpoint] = endpoints;
      assert.ok(endpoint !== undefined);
      await assert.rejects((await opening).next(endpoint, never), {
        code: "unavailable",
        message: /^there is no token to sign in with \(CredentialsProviderError\)/,
      });
    } finally {
      delete process.env.AWS_SHARED_CREDENTIALS_FILE;
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });
});

describe("the fields of a sign-in without a password", () => {
  const URL_OF = "postgres://u@h/d";
  const faults = (more: Readonly<Record<string, string>>): string[] =>
    (["v1", "v2"] as const).map((version) =>
      prepare(version, { connectionString: URL_OF, ...more })
        .faults.map((fault) => `${fault.severity} ${describeFault(fault)}`)
        .join("\n"),
    );
  const aws = { useAWSIAM: "true", awsRegion: "eu-west-1" };
  const azure = { useAzureAD: "true" };

  const cases: [given: Readonly<Record<string, string>>, says: RegExp][] = [
    [aws, /^$/],
    [{ ...aws, accessKey: "a", secretKey: "b", sessionToken: "c" }, /^$/],
    [{ ...azure, azureTenantId: "t", azureClientId: "c", azureClientSecret: "s" }, /^$/],
    [azure, /^$/],
    [{ useAWSIAM: "true" }, /^error awsRegion: want the region of the database/],
    [{ ...aws, accessKey: "a" }, /^error awsAccessKey: want awsAccessKey and awsSecretKey, or neither/],
    [{ ...aws, sessionToken: "a" }, /^error awsSessionToken/],
    [{ ...aws, trustAnchorArn: "a" }, /^error trustAnchorArn: want assumeRoleArn, keys or a role/],
    [{ ...aws, ...azure }, /^error useAWSIAM: want either useAzureAD or useAWSIAM/],
    [{ ...azure, azureEnvironment: "moon" }, /^error azureEnvironment/],
    [{ ...azure, azureAuthMethods: "guess" }, /^error azureAuthMethods/],
    [{ ...aws, connectionString: `${URL_OF}?sslmode=disable` }, /^error connectionString: want another sslmode/],
    [{ ...aws, password: "x" }, /^warning password: want nothing: useAWSIAM signs in/],
    [{ awsRegion: "eu-west-1" }, /^warning awsRegion: want nothing: it is for useAWSIAM, which is off/],
  ];
  for (const [given, says] of cases)
    it(`answer ${JSON.stringify(given)} by ${says.source}`, () => {
      for (const said of faults(given)) assert.match(said, says);
    });

  it("never let a token go without TLS, but for a socket of this machine", () => {
    const levels = (connectionString: string): readonly string[] =>
      planOf(settingsOf({ connectionString, useAWSIAM: true, awsRegion: "eu-west-1" })).tls;
    assert.deepEqual(levels(URL_OF), ["unverified"]);
    assert.deepEqual(levels(`${URL_OF}?sslmode=allow`), ["unverified"]);
    assert.deepEqual(levels(`${URL_OF}?sslmode=prefer&sslrootcert=x`), ["authority"]);
    assert.deepEqual(levels(`${URL_OF}?sslmode=verify-full`), ["full"]);
    assert.deepEqual(levels("host=/run/postgresql user=u"), ["none"]);
    assert.deepEqual(levels("host=/run/postgresql hostaddr=192.0.2.1 user=u"), ["unverified"]);
    assert.deepEqual(levels("host=/run/a,db user=u sslmode=verify-full"), ["full"]);
  });
});

describeWithPostgres("signing in to PostgreSQL by a token", () => {
  let certificates: Certificates;
  let server: PostgresServer;
  before(async () => {
    certificates = await makeCertificates();
    server = await startPostgres({ password: "of the superuser" });
    for (const [from, to] of [
      [certificates.serverCertificateFile, "server.crt"],
      [certificates.serverKeyFile, "server.key"],
    ] as const) {
      copyFileSync(from, join(server.folder, "data", to));
      // The server reads its key only when no one else can.
      chmodSync(join(server.folder, "data", to), 0o600);
    }
    if (process.getuid?.() === 0) spawnSync("chown", ["-R", "postgres", join(server.folder, "data")]);
    await server.query("ALTER SYSTEM SET ssl = on");
    await server.query("SELECT pg_reload_conf()");
    await server.query("CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app");
  });
  after(async () => {
    await server.stop();
    await certificates.remove();
  });

  const address = (): string => `postgres://app@127.0.0.1:${server.port}/postgres`;
  const take = (token: string): Promise<unknown> => server.query(`ALTER ROLE app PASSWORD '${token}'`);

  function options(passwords: Passwords): Parameters<typeof Session.open>[0] {
    const plan = planOf(settingsOf({ connectionString: address(), useAWSIAM: true, awsRegion: "eu-west-1" }));
    const files = { root: null, certificate: null, key: null };
    return { plan, passwords, files, applicationName: "test", clock: systemClock };
  }

  it("asks anew for each connection, and uses no token that was used before", async () => {
    let handed = 0;
    const asked: string[] = [];
    const source: Passwords = {
      next: async ({ host, port }) => {
        asked.push(`${host}:${port}`);
        await take(`token-${++handed}`);
        return `token-${handed}`;
      },
      refused: () => assert.fail("a good token was refused"),
    };
    for (let made = 1; made <= 3; made++) {
      const session = await Session.open(options(source), never);
      const { rows } = await session.run({ name: "", text: "SELECT 1 AS one", lasting: false });
      assert.deepEqual(rows, [{ one: 1 }]);
      session.close();
      await session.ended;
      assert.equal(handed, made);
    }
    assert.deepEqual(asked, new Array(3).fill(`127.0.0.1:${server.port}`));
  });

  it("gives a token back that the server refuses, and says so without it", async () => {
    await take("another one");
    const refused: string[] = [];
    const source: Passwords = { next: async () => "t0ken", refused: (token) => void refused.push(token) };
    await assert.rejects(Session.open(options(source), never), (error: Error) => {
      assert.match(error.message, /refused the user or the password.*28P01/);
      assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}`, /t0ken/);
      return true;
    });
    assert.deepEqual(refused, ["t0ken"]);
  });

  it("gives it back too where the server has another word for that, as RDS has", async () => {
    await server.query("CREATE ROLE shut NOLOGIN");
    const refused: string[] = [];
    const source: Passwords = { next: async () => "t0ken", refused: (token) => void refused.push(token) };
    await server.query("ALTER ROLE shut PASSWORD 't0ken'");
    const given = options(source);
    const session = Session.open({ ...given, plan: { ...given.plan, user: "shut" } }, never);
    await assert.rejects(session, { message: /with a token.*SQLSTATE 28000/ });
    assert.deepEqual(refused, ["t0ken"]);
  });

  it("goes by Entra ID's token for this kind of database, over a store's whole life", async () => {
    const service = await startTokenService(take);
    try {
      const fields = { connectionString: address(), useAzureAD: "true", azureAuthMethods: "mi", azureClientId: "me" };
      const store = await openStore({ version: "v2", fields: { ...fields, maxConns: "2" } });
      try {
        await store.set(write("k", "1"), call);
        const before = service.asked.length;
        const end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'";
        assert.notEqual((await server.query(end)).length, 0);
        await eventually(() => store.set(write("k", "2"), call));
        assert.equal(await textOf(store, "k"), "2");
        assert.ok(service.asked.length > before, "a new connection took an old token");
        for (const url of service.asked) {
          assert.equal(url.searchParams.get("resource"), "https://ossrdbms-aad.database.windows.net");
          assert.equal(url.searchParams.get("client_id"), "me");
        }
      } finally {
        await store.close();
      }
    } finally {
      service.stop();
    }
  });
});

/** What a managed identity asks on Azure's App Service; each token is good for a minute, and takes the place of the one before. */
async function startTokenService(
  handOut: (token: string) => Promise<unknown>,
): Promise<{ readonly asked: readonly URL[]; stop(): void }> {
  const asked: URL[] = [];
  const endpoint = await startIdentityEndpoint((request, response) => {
    asked.push(new URL(request.url ?? "/", "http://service"));
    const token = `managed-${asked.length}`;
    void handOut(token).then(() => {
      const expires = String(Math.round(Date.now() / 1000) + 60);
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ access_token: token, expires_on: expires, token_type: "Bearer" }));
    });
  });
  return { asked, stop: () => endpoint.stop() };
}
