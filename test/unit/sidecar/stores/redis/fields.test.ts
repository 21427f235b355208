// The manifest's fields: what is refused, what has no effect, what the older names mean.
import assert from "node:assert/strict";
import { decodeFields } from "#crds/fields.ts";
import { describeFault } from "#kit/fault.ts";
import { fields, retryLimits, timeouts } from "#sidecar/stores/redis/fields.ts";
import { driver } from "#sidecar/stores/redis/redis.ts";
import { KEY, OTHER_KEY, PEM } from "#test/stores/pem.ts";

function properties(given: Readonly<Record<string, string>>): { name: string; value: string; secret: boolean }[] {
  return Object.entries(given).map(([name, value]) => ({ name, value, secret: false }));
}

function faultsOf(given: Readonly<Record<string, string>>): string[] {
  const { faults } = driver.decode(properties({ redisHost: "redis", ...given }), []);
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

function settingsOf(given: Readonly<Record<string, string>>) {
  const { settings } = decodeFields(fields, properties(given), { others: [], page: "" });
  assert.ok(settings !== null);
  return settings;
}

describe("the fields of state.redis", () => {
  it("takes the manifest that dapr init writes", () => {
    assert.deepEqual(faultsOf({ redisHost: "localhost:6379", redisPassword: "" }), []);
  });

  it("takes a cluster and sentinels, one of them or several", () => {
    for (const redisHost of ["a", "a:1", "a:1,b:2, c"]) {
      assert.deepEqual(faultsOf({ redisType: "cluster", redisHost }), []);
      assert.deepEqual(faultsOf({ failover: "true", sentinelMasterName: "m", redisHost }), []);
    }
  });

  const refused: [given: Readonly<Record<string, string>>, want: RegExp][] = [
    [{ failover: "true" }, /^error sentinelMasterName: want the name under which the sentinels know the master/],
    [{ redisHost: "a:1,b:2" }, /^error redisHost: got "a:1,b:2", want one host: a list goes with redisType "cluster"/],
    [{ redisType: "cluster", redisHost: "a:1,b:0" }, /^error redisHost: got "a:1,b:0", want a port from 1/],
    [{ redisPort: "0" }, /^error redisPort: got "0"/],
    [{ redisHost: "redis:1", redisPort: "2" }, /^error redisHost: got "redis:1", want no port/],
    [{ redisDB: "-1" }, /^error redisDB/],
    [{ redisMaxRetries: "ten" }, /^error redisMaxRetries: got "ten", want a whole number/],
    [{ readTimeout: "soon" }, /^error readTimeout/],
    [{ strongAcks: "all" }, /^error strongAcks: got "all", want "connected" or a number/],
    [{ enableTLS: "perhaps" }, /^error enableTLS/],
  ];
  for (const [given, want] of refused) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      const faults = faultsOf(given);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
    });
  }

  const warned: [given: Readonly<Record<string, string>>, want: RegExp][] = [
    [{ redisHost: "" }, /^warning redisHost: want a host; without it localhost/],
    [{ redisType: "standalone" }, /^warning redisType/],
    [{ poolSize: "20" }, /^warning poolSize: want nothing: it has no effect here; one pipelined connection/],
    [{ redeliverInterval: "1s" }, /^warning redeliverInterval: .* pub\/sub/],
    [{ sentinelMasterName: "m" }, /^warning sentinelMasterName: want failover "true" beside it/],
    [{ sentinelPassword: "m" }, /^warning sentinelPassword: want failover "true" beside it/],
    [{ redisType: "cluster", redisDB: "1" }, /^warning redisDB: want 0; a cluster has no other database/],
    [
      { failover: "true", sentinelMasterName: "m", redisType: "cluster" },
      /^warning redisType: want "node"; with failover/,
    ],
    [{ clientCert: "pem", enableTLS: "true" }, /^warning clientKey: want both/],
    [{ insecureSkipTLSVerify: "true" }, /^warning enableTLS/],
    [{ redisHosts: "x" }, /^warning redisHosts: .* did you mean redisHost\?/],
  ];
  for (const [given, want] of warned) {
    it(`warns of ${JSON.stringify(given)} and goes on`, () => {
      const faults = faultsOf(given);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
    });
  }

  it("refuses a client certificate and a key that cannot be read, and shows neither", () => {
    const faults = faultsOf({ clientCert: "s3cr3t", clientKey: "s3cr3t", enableTLS: "true" });
    assert.deepEqual(faults, [
      "error clientCert: want the PEM text of a certificate; it begins with -----BEGIN CERTIFICATE-----",
      "error clientKey: want the PEM text of a private key without a password; it begins with -----BEGIN PRIVATE KEY-----",
    ]);
    assert.deepEqual(faultsOf({ clientCert: PEM, clientKey: KEY, enableTLS: "true" }), []);
    const pair = faultsOf({ clientCert: PEM, clientKey: OTHER_KEY, enableTLS: "true" });
    assert.match(pair.join(), /^error clientCert: want the certificate of the key in clientKey;/);
  });

  it("never shows a secret", () => {
    const secret = "s3cr3t";
    const given = {
      redisPassword: secret,
      clientKey: secret,
      sentinelPassword: secret,
      oidcClientAssertionKey: secret,
    };
    assert.doesNotMatch(faultsOf(given).join("\n"), /s3cr3t/);
  });

  it("never shows a redisHost that may hold a password, and says what was wanted", () => {
    const hosts = [
      "redis://:s3cr3t@redis:6379",
      "user:s3cr3t@redis",
      "redis:6379,password=s3cr3t",
      "redis:6379:s3cr3t",
    ];
    for (const redisHost of hosts) {
      const faults = faultsOf({ redisHost, redisPort: "6379" });
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", /^error redisHost: want .*host/);
      assert.doesNotMatch(faults[0] ?? "", /s3cr3t/);
    }
  });

  it("never shows redisPort in a fault of redisHost, for it may come from a secret", () => {
    assert.deepEqual(faultsOf({ redisHost: "redis:1", redisPort: "2345" }), [
      'error redisHost: got "redis:1", want no port, or the one of redisPort',
    ]);
  });

  it("reads a bare duration as milliseconds and the empty text as absent", () => {
    assert.deepEqual(timeouts(settingsOf({ dialTimeout: "250", readTimeout: "1.5s" })), { dialMs: 250, readMs: 1500 });
    assert.deepEqual(timeouts(settingsOf({ dialTimeout: "", readTimeout: "0" })), { dialMs: 5000, readMs: 3000 });
    assert.equal(timeouts(settingsOf({ readTimeout: "-1" })).readMs, 600_000);
  });

  const limits: [given: Readonly<Record<string, string>>, retries: number, minMs: number, maxMs: number][] = [
    [{}, 3, 8, 512],
    [{ redisMaxRetries: "5", maxRetries: "7" }, 5, 8, 512],
    [{ maxRetries: "7" }, 7, 8, 512],
    [{ redisMaxRetries: "", maxRetries: "7" }, 7, 8, 512],
    [{ redisMaxRetries: "-1" }, 0, 8, 512],
    [{ redisMinRetryInterval: "20", redisMaxRetryInterval: "1s" }, 3, 20, 1000],
    [{ redisMinRetryInterval: "2s" }, 3, 512, 512],
    [{ redisMinRetryInterval: "-1" }, 3, 0, 512],
    [{ redisMaxRetries: "0", redisMinRetryInterval: "0", redisMaxRetryInterval: "0" }, 0, 8, 512],
    [{ redisMaxRetryInterval: "-1" }, 3, 0, 0],
    [{ maxRetryBackoff: "20000000" }, 3, 20, 512],
    [{ maxRetryBackoff: "20000000", redisMinRetryInterval: "30" }, 3, 30, 512],
  ];
  for (const [given, retries, minMs, maxMs] of limits) {
    it(`takes ${JSON.stringify(given)} as ${retries} retries after ${minMs} to ${maxMs} ms`, () => {
      assert.deepEqual(retryLimits(settingsOf(given)), { retries, minMs, maxMs });
    });
  }
});
