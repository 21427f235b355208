// The manifest's fields: what is refused, what draws a warning.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { prepare } from "./fixture.ts";

function faultsOf(given: Readonly<Record<string, string>>): string[] {
  const { faults } = prepare({ table: "state", ...given });
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

const KEYS = { accessKey: "AKIA-s3cr3t", secretKey: "s3cr3t" };

describe("the fields of state.aws.dynamodb", () => {
  it("takes what Dapr's own page shows", () => {
    const page = { region: "us-east-1", endpoint: "http://localhost:4566", ...KEYS, sessionToken: "s3cr3t" };
    assert.deepEqual(faultsOf({ ...page, ttlAttributeName: "expiresAt", partitionKey: "ContractID" }), []);
    assert.deepEqual(faultsOf({ AWSREGION: "eu-central-1", assumeRoleArn: "arn:aws:iam::1:role/a" }), []);
    assert.deepEqual(faultsOf({ table: "arn:aws:dynamodb:eu-central-1:123456789012:table/state" }), []);
  });

  it("takes awsRegion for region", () => {
    const [byAlias, byName] = [{ awsRegion: "eu-central-1" }, { region: "eu-central-1" }];
    assert.equal(
      prepare({ table: "state", ...byAlias }).fingerprint,
      prepare({ table: "state", ...byName }).fingerprint,
    );
  });

  const refused: [given: Readonly<Record<string, string>>, want: RegExp][] = [
    [{ table: "" }, /^error table: want a value: the field is required/],
    [{ table: "a table" }, /^error table: got "a table", want the name or the ARN of a table/],
    [{ region: "eu central" }, /^error region: got "eu central", want a region of at most 63 /],
    [{ endpoint: "localhost:8000" }, /^error endpoint: got "localhost:8000", want a URL as in/],
    [{ endpoint: "http://user:s3cr3t@localhost:8000" }, /^error endpoint: want a URL as in/],
    [{ accessKey: "AKIA-s3cr3t" }, /^error accessKey: want accessKey and secretKey, or neither/],
    [{ secretKey: "s3cr3t" }, /^error accessKey: want accessKey and secretKey, or neither/],
    [{ sessionToken: "s3cr3t" }, /^error sessionToken: want accessKey and secretKey beside it/],
    [{ trustAnchorArn: "arn:a" }, /^error trustAnchorArn: got "arn:a", want assumeRoleArn, keys or a role of the pod/],
    [{ trustProfileArn: "arn:a" }, /^error trustProfileArn: /],
    [{ partitionKey: "" }, /^error partitionKey: got "", want a name of 1 to 255 bytes/],
    [{ partitionKey: "value" }, /^error partitionKey: got "value", want an attribute of its own/],
    [{ ttlAttributeName: "etag" }, /^error ttlAttributeName: got "etag", want an attribute of its own/],
    [{ ttlAttributeName: "key" }, /^error ttlAttributeName: got "key", want an attribute of its own/],
    [{ ttlAttributeName: "ä".repeat(128) }, /^error ttlAttributeName: .*want a name of 1 to 255 bytes/],
    [{ assumeRoleArn: "arn:a", assumeRoleSessionName: "a b" }, /^error assumeRoleSessionName: got "a b", want 2 to 64/],
  ];
  for (const [given, want] of refused) {
    it(`refuses ${JSON.stringify(given).slice(0, 60)}`, () => {
      const faults = faultsOf(given);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
      assert.doesNotMatch(faults.join(), /s3cr3t/);
    });
  }

  it("warns of a session's name without a role", () => {
    const want = 'warning assumeRoleSessionName: got "orders", want nothing: there is no assumeRoleArn';
    assert.deepEqual(faultsOf({ assumeRoleSessionName: "orders" }), [want]);
  });
});
