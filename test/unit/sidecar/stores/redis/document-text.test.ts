// What a value becomes in a document: equal when the server gives it back, or nothing. The server's own parser judges.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Redis } from "ioredis";
import { documentText } from "#sidecar/stores/redis/document-text.ts";
import { describeWithRedisStack, redisStack } from "#test/servers/redis-stack.ts";
import { onOneServer } from "./fixture.ts";

const textFor = (json: string): string | null => documentText(Buffer.from(json))?.toString() ?? null;

describe("the text of a document", () => {
  const SAME = [
    "null",
    ' {"a" : [1, -2.50, 1E+2, 0.1, -0, 1.0] } ',
    '"\\u00e9 \\ud83d\\ude00 \\u0000 \\\\"',
    "18446744073709551615",
    "-9223372036854775808",
    "9007199254740993",
    "1000e-20",
    '"☕ ☕ \\" 1.23456789012345678 ["',
  ];
  for (const json of SAME) it(`is ${json} as it came`, () => assert.equal(textFor(json), json));

  const NONE = [
    "",
    "1 2",
    '{"a":1',
    '1},"version":9,"x":{"y":1',
    "18446744073709551616",
    "-9223372036854775809",
    "1.23456789012345678",
    "1e999",
    '"\\udead"',
    `${"[".repeat(101)}${"]".repeat(101)}`,
  ];
  for (const json of NONE) it(`is none for ${json.slice(0, 30)}`, () => assert.equal(textFor(json), null));

  it("is none for bytes that are no UTF-8", () => assert.equal(documentText(Buffer.of(0x22, 0xff, 0x22)), null));

  it("is none for the rare double of 16 or 17 digits that no digits and power give exactly", () => {
    for (const json of ["-277120983138520.66", "0.9770163796995693"]) assert.equal(textFor(json), null);
  });

  it("takes a hundred levels", () => assert.notEqual(textFor("[".repeat(100) + "]".repeat(100)), null));

  it("spells in another way what has more digits, or a higher power, than the server reads exactly", () => {
    assert.equal(textFor("-443901049178780300000"), "-4439010491787802624e2");
    assert.equal(textFor("1000e-24"), "1e-21");
  });

  it("spells a double that the server would miss in another way", () => {
    const text = textFor('{"a":[0.30000000000000004, -1234.5678901234567],"b":"0.30000000000000004"}');
    assert.equal(text, '{"a":[30000000000000004e-17, -12345678901234566e-13],"b":"0.30000000000000004"}');
    assert.deepEqual(JSON.parse(text), { a: [0.30000000000000004, -1234.5678901234567], b: "0.30000000000000004" });
  });
});

describeWithRedisStack("the text of a document on the server", () => {
  let plain: Redis;
  onOneServer((opened) => {
    ({ plain } = opened);
  }, redisStack);

  async function givenBack(json: string): Promise<unknown> {
    await plain.call("JSON.SET", "k", "$", `{"data":${textFor(json)},"version":1}`);
    return JSON.parse(String(await plain.call("JSON.GET", "k"))).data;
  }

  it("gives back every double that it takes, and takes those of everyday size with up to 15 digits", async () => {
    const everyday = fc.double({ noNaN: true, min: -1e15, max: 1e15 }).filter((n) => n === 0 || Math.abs(n) > 1e-4);
    const any = fc.double({ noNaN: true, noDefaultInfinity: true });
    const decimal = fc
      .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.nat(25), fc.integer({ min: -30, max: 30 }))
      .map(([digits, zeros, power]) => `${digits}.${"0".repeat(zeros)}e${power}`);
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(everyday.map(String), any.map(String), decimal), async (number) => {
        const json = number.replace(".e", "e");
        if (textFor(json) === null) return;
        taken++;
        assert.equal(await givenBack(json), JSON.parse(json));
      }),
      { numRuns: 3000 },
    );
    assert.ok(taken > 500, `${taken} were taken`);
    const short = everyday.map((double) => Number(double.toPrecision(15)));
    await fc.assert(fc.property(short, (double) => textFor(JSON.stringify(double)) !== null));
  });

  it("gives back every JSON value that it takes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ stringUnit: "grapheme", maxDepth: 4 }), async (json) => {
        if (textFor(json) !== null) assert.deepEqual(await givenBack(json), JSON.parse(json));
      }),
      { numRuns: 500 },
    );
  });
});
