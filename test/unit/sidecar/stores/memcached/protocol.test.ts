// memcached's words as bytes and out of bytes.
import assert from "node:assert/strict";
import { getCommand, ReplyReader, setCommand, tokenOf } from "#sidecar/stores/memcached/protocol.ts";

const STREAM = Buffer.from("EN\r\nVA 5 c7 t-1\r\na\r\nb\xff\r\nHD\r\nVA 0 c8 t3\r\n\r\nMN\r\n", "latin1");
const READ = [
  ["EN", null],
  ["VA 5 c7 t-1", "a\r\nb\xff"],
  ["HD", null],
  ["VA 0 c8 t3", ""],
  ["MN", null],
];

describe("the words of memcached", () => {
  it("are read alike, whatever pieces they come in", () => {
    for (let size = 1; size <= STREAM.length; size++) {
      const reader = new ReplyReader();
      const read: unknown[] = [];
      for (let at = 0; at < STREAM.length; at += size)
        for (const { words, value } of reader.read(STREAM.subarray(at, at + size)))
          read.push([words.join(" "), value?.toString("latin1") ?? null]);
      assert.deepEqual(read, READ, `pieces of ${size}`);
    }
  });

  for (const text of ["VA x\r\n", "VA -1 c1\r\n", "VA 1 c1\r\nabc\r\n", "x".repeat(5000)]) {
    it(`are refused as none: ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(() => new ReplyReader().read(Buffer.from(text)));
    });
  }

  it("hold a key as it is, or in base64 where it would end a word", () => {
    assert.equal(getCommand(tokenOf(Buffer.from("app||\u00e9"))).toString(), "mg app||\u00e9 v c t\r\n");
    for (const key of ["a b", "a\r\nflush_all", "\u007f", "\0", ""]) {
      const base64 = Buffer.from(key).toString("base64");
      assert.equal(getCommand(tokenOf(Buffer.from(key))).toString(), `mg ${base64} v c t b\r\n`);
    }
  });

  it("refuse a key that is too long, and say how long it may be", () => {
    assert.equal(tokenOf(Buffer.alloc(250, "k")).text.length, 250);
    assert.throws(() => tokenOf(Buffer.alloc(251, "k")), { code: "refused", message: /251 bytes.* at most 250$/ });
    assert.ok(tokenOf(Buffer.alloc(186, " ")).isBase64);
    assert.throws(() => tokenOf(Buffer.alloc(187, " ")), {
      code: "refused",
      message: /at most 186, as it has a space/,
    });
  });

  it("hold a value of any bytes", () => {
    const bytes = Buffer.from("\r\nmn\r\n");
    const set = setCommand({ key: tokenOf(Buffer.from("k")), bytes, exptime: 7, cas: "3", add: false });
    assert.equal(set.toString(), "ms k 6 T7 C3\r\n\r\nmn\r\n\r\n");
  });
});
