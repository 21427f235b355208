// The encryption keys of a Component: what they come from, and everything that a store is not opened with.
import assert from "node:assert/strict";
import type { Property } from "#crds/fields.ts";
import { describeFault, type Fault } from "#kit/fault.ts";
import { type DecodedStore, decodeStore } from "#sidecar/components/decode.ts";
import { encryptionNotices } from "#sidecar/components/encryption-keys.ts";
import { driver } from "#sidecar/stores/in-memory/in-memory.ts";
import { driver as redis } from "#sidecar/stores/redis/redis.ts";

const HEX = "00112233445566778899aabbccddeeff";

function fromSecret(name: string, value: string, secret = "keys", key = name): Property {
  return { name, value, secret: true, secretRef: { name: secret, key } };
}

function plain(name: string, value: string): Property {
  return { name, value, secret: false };
}

function told(faults: readonly Fault[]): string[] {
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

/** Decodes; what is told must hold no key. */
function decode(...properties: readonly Property[]): DecodedStore {
  const decoded = decodeStore(driver, properties);
  for (const { value } of properties.filter(({ name }) => /key/i.test(name) && name !== "keyPrefix"))
    if (value.length > 3) assert.ok(!JSON.stringify(decoded.faults).includes(value), "a fault shows the key");
  return decoded;
}

describe("the encryption keys of a Component", () => {
  it("are bytes under the names of their secrets", () => {
    const { ready, faults } = decode(
      fromSecret("primaryEncryptionKey", HEX.toUpperCase(), "next"),
      fromSecret("secondaryEncryptionKey", HEX + HEX, "old"),
    );
    assert.deepEqual(faults, []);
    assert.deepEqual(ready?.encryption, {
      primary: { name: "next", bytes: Buffer.from(HEX, "hex") },
      secondary: { name: "old", bytes: Buffer.from(HEX + HEX, "hex") },
      strings: "text",
    });
  });

  it("may be one, of 24 bytes, in any case of the field's name, and keep strings as JSON", () => {
    const { ready } = decode(
      fromSecret("PRIMARYENCRYPTIONKEY", HEX + HEX.slice(16)),
      plain("encryptedStrings", "json"),
    );
    assert.equal(ready?.encryption?.primary.bytes.length, 24);
    assert.deepEqual([ready?.encryption?.secondary, ready?.encryption?.strings], [null, "json"]);
  });

  it("are none where no field names one", () => {
    assert.equal(decode().ready?.encryption, null);
  });

  const REFUSED: readonly (readonly [what: string, properties: readonly Property[], wanted: RegExp])[] = [
    [
      "an empty key",
      [fromSecret("primaryEncryptionKey", "")],
      /^error primaryEncryptionKey: want an AES key as 32, 48/,
    ],
    ["a key with a line end", [fromSecret("primaryEncryptionKey", `${HEX}\n`)], /without anything before or after/],
    ["a key of 15 bytes", [fromSecret("primaryEncryptionKey", HEX.slice(2))], /32, 48 or 64 hexadecimal digits/],
    ["a key of 64 bytes", [fromSecret("primaryEncryptionKey", HEX.repeat(4))], /32, 48 or 64 hexadecimal digits/],
    ["a key with another digit", [fromSecret("primaryEncryptionKey", HEX.replace("0", "g"))], /hexadecimal digits/],
    [
      "a key in the manifest",
      [plain("primaryEncryptionKey", HEX)],
      /^error primaryEncryptionKey: want a secretKeyRef; .*plain/,
    ],
    [
      "a key from a variable",
      [{ name: "primaryEncryptionKey", value: HEX, secret: true }],
      /want a secretKeyRef; the name of the secret stands behind each value/,
    ],
    [
      "a secret whose name is cut off behind a value",
      [fromSecret("primaryEncryptionKey", HEX, "a||b")],
      /want a secret whose name has no "\|\|"/,
    ],
    [
      "a secondary key alone",
      [fromSecret("secondaryEncryptionKey", HEX)],
      /^error primaryEncryptionKey: want a key beside secondaryEncryptionKey; without it values would be written as plain/,
    ],
    [
      "a secondary key that is none",
      [fromSecret("primaryEncryptionKey", HEX), fromSecret("secondaryEncryptionKey", "short")],
      /^error secondaryEncryptionKey: want an AES key/,
    ],
    [
      "a secondary key in the manifest",
      [fromSecret("primaryEncryptionKey", HEX), plain("secondaryEncryptionKey", HEX)],
      /^error secondaryEncryptionKey: want a secretKeyRef/,
    ],
    [
      "a key given twice",
      [fromSecret("primaryEncryptionKey", HEX), fromSecret("primaryencryptionkey", HEX)],
      /the field primaryEncryptionKey once/,
    ],
    [
      "a mistyped name",
      [fromSecret("primaryEncyptionKey", HEX)],
      /^error primaryEncyptionKey: want primaryEncryptionKey; without it values would be written as plain text/,
    ],
    ...["encryptionKey", "encriptKey", "primaryKey", "SECONDARYENCRKEY", "aesEncryption"].map(
      (name) =>
        [
          `a name like ${name}`,
          [fromSecret(name, HEX)],
          new RegExp(`^error ${name}: want .*EncryptionKey.*; without it values would be written as plain text`),
        ] as const,
    ),
    [
      "a mistyped encryptedStrings",
      [fromSecret("primaryEncryptionKey", HEX), plain("encryptedString", "json")],
      /^error encryptedString: want encryptedStrings; /,
    ],
    [
      "another word for strings",
      [fromSecret("primaryEncryptionKey", HEX), plain("encryptedStrings", "yes")],
      /"text" or "json"/,
    ],
  ];
  for (const [what, properties, wanted] of REFUSED) {
    it(`are refused for ${what}, in one fault that does not show it`, () => {
      const { ready, faults } = decode(...properties);
      assert.equal(ready, null);
      const [first, ...others] = told(faults);
      assert.match(first ?? "", wanted);
      assert.deepEqual(others, []);
    });
  }

  it("are told all their faults at once", () => {
    const { faults } = decode(plain("primaryEncryptionKey", ""), plain("secondaryEncryptionKey", ""));
    assert.equal(faults.length, 4);
  });

  it("draw a warning when both are the same one, and none when they are two of one secret", () => {
    const primary = fromSecret("primaryEncryptionKey", HEX, "keys", "a");
    const [same = ""] = told(decode(primary, fromSecret("secondaryEncryptionKey", HEX, "keys", "a")).faults);
    assert.match(same, /^warning secondaryEncryptionKey: want another key than primaryEncryptionKey's/);
    assert.deepEqual(decode(primary, fromSecret("secondaryEncryptionKey", HEX, "keys", "b")).faults, []);
  });

  it("have nothing to do with fields of a driver that sound like them", () => {
    const cert = { ...fromSecret("clientKey", "PEM"), secret: true };
    assert.deepEqual(
      decodeStore(redis, [cert]).faults.filter(({ severity }) => severity === "error"),
      [],
    );
  });

  it("are missed where only encryptedStrings is there", () => {
    const { ready, faults } = decode(plain("encryptedStrings", "json"));
    assert.notEqual(ready, null);
    assert.match(told(faults).join(), /^warning encryptedStrings: want primaryEncryptionKey beside it/);
  });

  it("are told of when a store is opened, by name and never by value", () => {
    const { ready } = decode(fromSecret("primaryEncryptionKey", HEX));
    assert.ok(ready?.encryption);
    const [limit = "", ...others] = encryptionNotices("orders", ready.encryption, false);
    assert.match(limit, /^Component orders: values are encrypted with the key of secret "keys"\. .*4 billion/);
    assert.deepEqual(others, []);
    const [, actors = ""] = encryptionNotices("orders", ready.encryption, true);
    assert.match(actors, /state of actors is not encrypted/);
    assert.doesNotMatch(limit + actors, /0011/);
  });
});
