// The stored form of encrypted values: Dapr's, byte for byte, both ways.
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import fc from "fast-check";
import { canEndValue, createCipher, type Encryption, type EncryptionKey } from "#sidecar/state/encryption.ts";
import type { ValueCipher } from "#sidecar/state/table.ts";
import { StoreError } from "#sidecar/stores/store.ts";

/** A key of the bytes 0, 1, 2 and so on, as the vectors below were made with. */
function counting(length: number, name = "mysecret"): EncryptionKey {
  return { name, bytes: Uint8Array.from({ length }, (_, index) => index) };
}

function keyOf(fill: number, name: string): EncryptionKey {
  return { name, bytes: new Uint8Array(32).fill(fill) };
}

function cipherOf(primary: EncryptionKey, more: Partial<Encryption> = {}): ValueCipher {
  return createCipher("orders", { primary, secondary: null, strings: "text", ...more });
}

function opened(cipher: ValueCipher, stored: string | Uint8Array): string {
  return Buffer.from(cipher.open(typeof stored === "string" ? Buffer.from(stored) : stored)).toString();
}

function sealed(cipher: ValueCipher, value: string, asText = false): string {
  return Buffer.from(cipher.seal(Buffer.from(value), asText)).toString();
}

/** What the store's error says when the value cannot be opened. */
function refusal(cipher: ValueCipher, stored: string | Uint8Array): string {
  try {
    opened(cipher, stored);
  } catch (error) {
    assert.ok(error instanceof StoreError);
    assert.equal(error.code, "corrupt");
    return error.message;
  }
  return assert.fail("it was opened");
}

describe("an encrypted value", () => {
  // Made with Python's cryptography 48 (AESGCM): nonce 100 to 111, no additional data.
  const VECTORS: readonly (readonly [keyBytes: number, plain: string, stored: string])[] = [
    [16, "value1", "ZGVmZ2hpamtsbW5vbAMi0L4zhRzKobLZuD6Tx0hCNtiVLQ==||mysecret"],
    [16, "map[a:1 b:2]", "ZGVmZ2hpamtsbW5vdwM+/ro4idr5BGVN+bUVhTxcoSpplUGVizsCpw==||mysecret"],
    [16, "", "ZGVmZ2hpamtsbW5vZYKsBeBHEagmvf4uFERAqw==||mysecret"],
    [24, "value1", "ZGVmZ2hpamtsbW5vnwnXCTee9bdtHsrnqN4wNqTml/dVwQ==||mysecret"],
    [24, "map[a:1 b:2]", "ZGVmZ2hpamtsbW5vhAnLJzOVPxix69BcmMNNC4eAA6Ox0sOUfv4zsw==||mysecret"],
    [32, "value1", "ZGVmZ2hpamtsbW5vPnqyExzYqf62GUCU1gHv99s8FKykJA==||mysecret"],
    [32, "map[a:1 b:2]", "ZGVmZ2hpamtsbW5vJXquPRjTZ75cWG21QMbnZjOq9iBJrjMX28X/lg==||mysecret"],
    [32, "", "ZGVmZ2hpamtsbW5vYJvVD2rXbfZl8Ei6jF/XBg==||mysecret"],
  ];
  for (const [keyBytes, plain, stored] of VECTORS) {
    it(`of ${JSON.stringify(plain)} in Dapr's form under AES-${keyBytes * 8} is read`, () => {
      assert.equal(opened(cipherOf(counting(keyBytes)), stored), plain);
    });
  }

  for (const keyBytes of [16, 24, 32]) {
    it(`is written in Dapr's form under AES-${keyBytes * 8}, as another implementation reads it`, async () => {
      const key = counting(keyBytes, "ünï");
      const [base64 = "", name, ...rest] = sealed(cipherOf(key), '{"a": 1}').split("||");
      assert.deepEqual([name, rest], ["ünï", []]);
      assert.match(base64, /^[A-Za-z0-9+/]+={0,2}$/);
      const bytes = Buffer.from(base64, "base64");
      assert.equal(bytes.toString("base64"), base64);
      // Web cryptography takes AES of 192 bits from Node too.
      const usable = await webcrypto.subtle.importKey("raw", Buffer.from(key.bytes), "AES-GCM", false, ["decrypt"]);
      const parameters = { name: "AES-GCM", iv: bytes.subarray(0, 12), tagLength: 128 };
      const plain = await webcrypto.subtle.decrypt(parameters, usable, bytes.subarray(12));
      assert.equal(Buffer.from(plain).toString(), '{"a": 1}');
    });
  }

  it("comes back as the bytes that it was, whatever they are, and shows none of them", () => {
    const cipher = cipherOf(counting(32));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
        const stored = cipher.seal(bytes, false);
        assert.deepEqual(Buffer.from(cipher.open(stored)), Buffer.from(bytes));
        if (bytes.length >= 8) assert.equal(Buffer.from(stored).indexOf(bytes), -1);
      }),
    );
  });

  it("is another one each time, so that equal values are not seen to be equal", () => {
    const cipher = cipherOf(counting(16));
    assert.equal(new Set(Array.from({ length: 100 }, () => sealed(cipher, "same").slice(0, 16))).size, 100);
  });

  it("of a window into a larger buffer is that of the window", () => {
    const cipher = cipherOf(counting(16));
    const within = Buffer.from("before-value-after").subarray(7, 12);
    const stored = Buffer.from(cipher.seal(within, false));
    const surrounded = Buffer.concat([Buffer.from("||x||"), stored, Buffer.from("||y")]);
    assert.equal(opened(cipher, surrounded.subarray(5, 5 + stored.length)), "value");
  });

  it("that is empty in the store is empty", () => {
    assert.equal(opened(cipherOf(counting(16)), ""), "");
  });
});

describe("a JSON string to be encrypted", () => {
  const PLAIN: readonly (readonly [json: string, kept: string])[] = [
    ['"value1"', "value1"],
    ['"250"', "250"],
    ['""', ""],
    ['"a\\n\\u0041\\"\\ud83d\\ude00"', 'a\nA"😀'],
    ['"\\ud800"', "\ufffd"],
    ["250", "250"],
    ["null", "null"],
    ['{ "a": "b" }', '{ "a": "b" }'],
    ['["a"]', '["a"]'],
  ];
  for (const [json, kept] of PLAIN) {
    it(`${json} is kept as ${JSON.stringify(kept)} where the caller lets the store choose`, () => {
      const text = cipherOf(counting(16));
      assert.equal(opened(text, sealed(text, json, true)), kept);
    });
    it(`${json} is kept as it is with encryptedStrings json, and where the caller wants its bytes`, () => {
      const asJson = cipherOf(counting(16), { strings: "json" });
      assert.equal(opened(asJson, sealed(asJson, json, true)), json);
      const text = cipherOf(counting(16));
      assert.equal(opened(text, sealed(text, json, false)), json);
    });
  }
});

describe("the keys of a store", () => {
  const [old, next] = [keyOf(1, "old"), keyOf(2, "next")];

  it("write under the primary and read under both", () => {
    const before = sealed(cipherOf(old), "v");
    const rotating = cipherOf(next, { secondary: old });
    assert.equal(opened(rotating, before), "v");
    assert.match(sealed(rotating, "v"), /\|\|next$/);
    assert.equal(opened(cipherOf(old, { secondary: next }), sealed(rotating, "v")), "v");
  });

  it("of one secret are both tried, since their values end with the same name", () => {
    const [first, second] = [keyOf(1, "shared"), keyOf(2, "shared")];
    const rotated = cipherOf(second, { secondary: first });
    assert.equal(opened(rotated, sealed(cipherOf(first), "v")), "v");
    assert.equal(opened(rotated, sealed(rotated, "w")), "w");
  });

  it("do not open what was written under another key of the same name, and say so", () => {
    const text = refusal(cipherOf(keyOf(2, "old")), sealed(cipherOf(old), "v"));
    assert.match(text, /^could not decrypt data for state store orders: message authentication failed .*secret "old"/);
    assert.match(text, /another key than when the value was written/);
  });

  it("do not open a value of which one byte was changed", () => {
    const cipher = cipherOf(old);
    const [base64 = "", name] = sealed(cipher, "some value").split("||");
    const bytes = Buffer.from(base64, "base64");
    for (const at of bytes.keys()) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.match(refusal(cipher, `${changed.toString("base64")}||${name}`), /message authentication failed/);
    }
  });
});

describe("a value that no key opens", () => {
  const cipher = cipherOf(keyOf(1, "next"), { secondary: keyOf(2, "old") });
  const CASES: readonly (readonly [what: string, stored: string, wanted: RegExp])[] = [
    ["without a name", '{"card":"4111"}', /is not encrypted; it was written before .*: write it again/],
    ["with an empty name", "4111||", /encryption key name not found on record/],
    [
      "with another name",
      "QUFBQQ==||card 4111",
      /none of the Component's keys \(secret "next", secret "old"\); .*second/,
    ],
    ["with two separators", "QUFBQQ==||4111||old", /is no encrypted value/],
    ["that is no base64", "4111!!!!||old", /is no encrypted value; what is stored was changed/],
    ["of base64 with something in it", `${"A".repeat(20)}!${"A".repeat(39)}||old`, /is no encrypted value/],
    ["that is too short", `${Buffer.alloc(27).toString("base64")}||old`, /is no encrypted value/],
    ["of an empty text and a name", "||old", /is no encrypted value/],
  ];
  for (const [what, stored, wanted] of CASES) {
    it(`${what} is an error that says what to do and shows nothing of it`, () => {
      const text = refusal(cipher, stored);
      assert.match(text, wanted);
      assert.match(text, /state store orders/);
      assert.doesNotMatch(text, /4111/);
    });
  }

  it("is never opened, whatever bytes stand there", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.constantFrom("", "||", "||old"), (bytes, end) => {
        refusal(cipher, Buffer.concat([bytes, Buffer.from(end)]));
      }),
    );
  });
});

describe("the name of a key", () => {
  it("must be found again behind the last separator", () => {
    assert.deepEqual(["a", "a b", "a|b", "a|", "ünï"].filter(canEndValue), ["a", "a b", "a|b", "a|", "ünï"]);
    assert.deepEqual(["", "a||b", "||", "a||", "|a", "|"].filter(canEndValue), []);
  });
});
