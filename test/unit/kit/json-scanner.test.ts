import assert from "node:assert/strict";
import fc from "fast-check";
import { DEPTH_MAX, isJsonText, JsonFault, JsonScanner } from "#kit/json-scanner.ts";

function spanOf(text: string): string {
  return new JsonScanner(Buffer.from(text)).span().toString();
}

/** JSON text with white space and escapes in places where JSON.stringify would put none. */
const spelledJson = fc.json({ maxDepth: 6 }).chain((text) =>
  fc.array(fc.constantFrom(" ", "\n", "\t", "\r", ""), { minLength: 1, maxLength: 5 }).map((spaces) => {
    let turn = 0;
    const space = (): string => spaces[turn++ % spaces.length] ?? "";
    let inString = false;
    let out = space();
    for (let i = 0; i < text.length; i++) {
      const character = text[i] ?? "";
      if (inString && character === "\\") out += character + (text[++i] ?? "");
      else {
        if (character === '"') inString = !inString;
        const structural = !inString && "[]{},:".includes(character);
        out += structural ? space() + character + space() : character;
      }
    }
    return out + space();
  }),
);

describe("JSON scanner", () => {
  it("accepts exactly what JSON.parse accepts", () => {
    const texts = fc.oneof(spelledJson, fc.string(), fc.stringMatching(/^[[\]{},:"0-9.eE+\-truefalsn \\u]*$/));
    fc.assert(
      fc.property(texts, (text) => {
        assert.equal(isJsonText(Buffer.from(text.toWellFormed())), parses(text.toWellFormed()));
      }),
      { numRuns: 2000 },
    );
  });

  it("gives a value's exact bytes, without the space around it", () => {
    fc.assert(
      fc.property(spelledJson, (text) => {
        assert.equal(spanOf(text), text.trim());
      }),
    );
  });

  it("finds the value of each member of an object", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()), (object) => {
        const scanner = new JsonScanner(Buffer.from(JSON.stringify(object)));
        const seen = new Map<string, unknown>();
        scanner.object((name) => seen.set(name, JSON.parse(scanner.span().toString())));
        const wanted = Object.entries(JSON.parse(JSON.stringify(object)) as object);
        assert.deepEqual(seen, new Map(wanted.map(([name, value]) => [name.toWellFormed(), value])));
      }),
    );
  });

  it("reads strings as JSON.parse does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        assert.equal(new JsonScanner(Buffer.from(JSON.stringify(text))).string(), text.toWellFormed());
      }),
    );
  });

  it("turns a lone surrogate escape in a string into the replacement character", () => {
    assert.equal(new JsonScanner(Buffer.from('"a\\ud800b"')).string(), "a\u{fffd}b");
  });

  it("takes nesting up to the limit and refuses one level more", () => {
    const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
    assert.equal(spanOf(nested(DEPTH_MAX)).length, DEPTH_MAX * 2);
    assert.throws(() => spanOf(nested(DEPTH_MAX + 1)), { name: "JsonFault", message: /exceeded max depth of 10000/ });
  });

  const faults: readonly (readonly [string, string])[] = [
    ["", "EOF"],
    ["[1", "unexpected EOF"],
    ["{}}".slice(0, 1), "unexpected EOF"],
    ["[1,]", 'invalid character "]" looking for beginning of value (byte 3)'],
    ['{"a" 1}', 'invalid character "1" after object key (byte 5)'],
    ["{a:1}", 'invalid character "a" looking for beginning of object key string (byte 1)'],
    ["01", ""],
    ["tru3", 'invalid character "3" in literal true (byte 3)'],
    ['"\\x"', 'invalid character "x" in string escape code (byte 2)'],
    ['"a\nb"', 'invalid character "\\n" in string literal (byte 2)'],
    ["1.", "unexpected EOF"],
    ["-a", 'invalid character "a" in numeric literal (byte 1)'],
  ];
  for (const [text, message] of faults) {
    it(`says of ${JSON.stringify(text)} what is wrong and where`, () => {
      if (message === "") return assert.equal(isJsonText(Buffer.from(text)), false);
      return assert.throws(
        () => spanOf(text),
        (error) => error instanceof JsonFault && error.message === message,
      );
    });
  }
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
