// Frames cut out of a stream, whatever pieces it comes in, and what is none.
import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameReader, JuteReader, JuteWriter } from "#sidecar/stores/zookeeper/jute.ts";

describe("jute", () => {
  it("reads what it writes", () => {
    const large = Buffer.alloc(5000, "x");
    const frame = new JuteWriter()
      .int(-2)
      .long(2n ** 62n)
      .flag(true)
      .buffer(null)
      .buffer(large)
      .text("\u00e9")
      .finish();
    const [body = Buffer.alloc(0)] = new FrameReader().read(frame);
    const reader = new JuteReader(body);
    assert.deepEqual([reader.int(), reader.long(), reader.flag(), reader.buffer()], [-2, 2n ** 62n, true, null]);
    assert.deepEqual([reader.buffer(), reader.buffer()], [large, Buffer.from("\u00e9")]);
  });

  it("tells an empty buffer from none", () => {
    const [body = Buffer.alloc(0)] = new FrameReader().read(new JuteWriter().buffer(new Uint8Array(0)).finish());
    assert.deepEqual(new JuteReader(body).buffer(), Buffer.alloc(0));
  });

  it("throws for a frame that ends too early", () => {
    assert.throws(() => new JuteReader(Buffer.from([0, 0, 0])).int(), RangeError);
    assert.throws(() => new JuteReader(Buffer.from([0, 0, 0, 9, 1])).buffer(), RangeError);
    assert.throws(() => new JuteReader(Buffer.from([255, 255, 255, 254])).buffer(), RangeError);
  });

  it("cuts a stream into the same frames in whatever pieces it comes", () => {
    const sizes = fc.array(fc.nat(300), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(sizes, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (lengths, cuts) => {
        const frames = lengths.map((length, index) => Buffer.alloc(length, index + 1));
        const stream = Buffer.concat(frames.map((frame) => new JuteWriter().buffer(frame).finish()));
        const reader = new FrameReader();
        const read: Buffer[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = cuts[turn % cuts.length] ?? 1;
          read.push(...reader.read(stream.subarray(at, at + size)));
          at += size;
        }
        assert.deepEqual(
          read.map((body) => new JuteReader(body).buffer()),
          frames,
        );
      }),
    );
  });

  it("throws for what cannot be a length", () => {
    assert.throws(() => new FrameReader().read(Buffer.from("HTTP/1.1 400")), RangeError);
    assert.throws(() => new FrameReader().read(Buffer.from([255, 0, 0, 0])), RangeError);
  });
});
