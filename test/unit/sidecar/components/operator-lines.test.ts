// Bytes of the operator's stream to messages: cuts anywhere, limits, and lines that are none.
import assert from "node:assert/strict";
import { LINE_BYTES_MAX } from "#crds/distribution.ts";
import { BrokenStream, LineCutter, readMessage } from "#sidecar/components/operator-lines.ts";

describe("the lines of the operator's stream", () => {
  it("come out whole, wherever the bytes are cut", () => {
    const bytes = Buffer.from('{"a":"é"}\n\n{"b":2}\n{"rest"');
    for (let at = 0; at <= bytes.length; at++) {
      const cutter = new LineCutter();
      const lines = [...cutter.take(bytes.subarray(0, at)), ...cutter.take(bytes.subarray(at))];
      assert.deepEqual(lines, ['{"a":"é"}', "", '{"b":2}'], `cut at ${at}`);
    }
  });

  it("have a largest length, whether their end has come or not", () => {
    const half = Buffer.alloc(LINE_BYTES_MAX / 2, "x");
    const cutter = new LineCutter();
    cutter.take(half);
    assert.deepEqual(
      cutter.take(Buffer.concat([half, Buffer.from("\n")])).map(({ length }) => length),
      [LINE_BYTES_MAX],
    );
    cutter.take(half);
    cutter.take(half);
    assert.throws(() => cutter.take(Buffer.from("x")), BrokenStream);
  });

  it("are UTF-8", () => {
    assert.throws(() => new LineCutter().take(Buffer.from([0xff, 10])), /not UTF-8/);
  });

  it("are messages, or say what they are about as far as that can be told", () => {
    assert.deepEqual(readMessage('{"type":"heartbeat"}'), { type: "heartbeat" });
    const nameless = { type: "passed-over", kind: null, name: null };
    assert.deepEqual(readMessage('{"type":"news"}'), nameless);
    assert.deepEqual(readMessage('{"type":"resource","kind":"Component","name":"a","resource":5}'), {
      ...nameless,
      kind: "Component",
      name: "a",
    });
  });

  it("that are no JSON object break the stream, and are not repeated", () => {
    for (const line of ["", "[]", "null", '{"password":"hunter2"']) {
      assert.throws(
        () => readMessage(line),
        (error) => error instanceof BrokenStream && !error.message.includes("hunter2"),
      );
    }
  });
});
