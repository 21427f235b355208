// The manifest's fields.
import assert from "node:assert/strict";
import { nkeys } from "@nats-io/transport-node";
import { describeFault } from "#kit/fault.ts";
import { parseAddresses } from "#sidecar/stores/jetstream/addresses.ts";
import { prepare } from "./fixture.ts";

const SEED = new TextDecoder().decode(nkeys.createUser().getSeed());

function faultsOf(given: Readonly<Record<string, string>>): string[] {
  const { faults } = prepare({ natsURL: "nats://localhost:4222", ...given });
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("the fields of state.jetstream", () => {
  it("takes what Dapr's own page shows", () => {
    assert.deepEqual(faultsOf({ natsURL: "nats://localhost:4222", jwt: "eyJh.eyJq.sig", seedKey: SEED }), []);
    assert.deepEqual(faultsOf({ bucket: "my_bucket", name: "statestore.jetstream" }), []);
  });

  const refused: [given: Readonly<Record<string, string>>, want: RegExp][] = [
    [{ natsURL: "" }, /^error natsURL: want a value: the field is required/],
    [{ natsURL: "nats://a:4222,,nats://b" }, /^error natsURL: got "nats:\/\/a:4222,,nats:\/\/b", want URLs as in/],
    [{ natsURL: "ws://a" }, /^error natsURL: .*URLs as in/],
    [{ natsURL: "nats://[nonsense]:1" }, /^error natsURL: .*URLs as in/],
    [{ natsURL: "a:99999" }, /^error natsURL: .* a port from 1 to 65535/],
    [{ natsURL: "user:s3cr3t@a:b" }, /^error natsURL: want URLs as in/],
    [{ natsURL: "user:s3cr3t%@a" }, /^error natsURL: want a user and a password that are percent-encoded/],
    [{ natsURL: "x:s3cr3t@a,y:s3cr3t@b" }, /^error natsURL: want one user and password/],
    [{ natsURL: "tls://a,nats://b" }, /^error natsURL: .*tls:\/\/ before all servers/],
    [{ natsURL: new Array(33).fill("a").join(",") }, /^error natsURL: .* at most 32/],
    [{ bucket: "" }, /^error bucket: want a value/],
    [{ bucket: "my.bucket" }, /^error bucket: got "my.bucket", want 1 to 128 ASCII letters/],
    [{ jwt: "s3cr3t" }, /^error seedKey: want jwt and seedKey together/],
    [{ seedKey: SEED }, /^error jwt: want jwt and seedKey together/],
    [{ jwt: "e", seedKey: "s3cr3t" }, /^error seedKey: want the seed of a user/],
    [{ natsURL: "u:s3cr3t@a", jwt: "e", seedKey: SEED }, /^error jwt: want a user in natsURL or jwt/],
    [{ dotsAsSeparators: "perhaps" }, /^error dotsAsSeparators/],
  ];
  for (const [given, want] of refused) {
    it(`refuses ${JSON.stringify(given).replace(SEED, "SU…").slice(0, 60)}`, () => {
      const faults = faultsOf(given);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
      assert.doesNotMatch(faults.join(), /s3cr3t|SU[A-Z2-7]{10}/);
    });
  }

  it("reads servers, TLS and the user out of the URLs", () => {
    assert.deepEqual(parseAddresses("TLS://me:p%40ss@a, tls://[::1]:1/"), {
      servers: ["a:4222", "[::1]:1"],
      tls: true,
      user: { name: "me", password: "p@ss" },
    });
    assert.deepEqual(parseAddresses("t0ken@a"), {
      servers: ["a:4222"],
      tls: false,
      user: { name: "t0ken", password: null },
    });
  });
});
