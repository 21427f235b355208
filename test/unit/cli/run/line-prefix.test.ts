import assert from "node:assert/strict";
import fc from "fast-check";
import { LINE_BYTES_MAX, LinePrefix } from "#cli/run/line-prefix.ts";

async function through(chunks: readonly (string | Uint8Array)[]): Promise<Buffer> {
  const prefix = new LinePrefix("> ");
  const out: Buffer[] = [];
  prefix.on("data", (chunk: Buffer) => out.push(chunk));
  for (const chunk of chunks) prefix.write(Buffer.from(chunk as Uint8Array));
  prefix.end();
  await new Promise((resolve) => prefix.on("end", resolve));
  return Buffer.concat(out);
}

describe("line prefix", () => {
  const cases: [string, string[], string][] = [
    ["two lines of one chunk", ["a\nb\n"], "> a\n> b\n"],
    ["a line in pieces", ["a", "b", "c\n"], "> abc\n"],
    ["empty lines", ["\n\n"], "> \n> \n"],
    ["a last line without its end", ["a\nb"], "> a\n> b\n"],
    ["carriage returns", ["a\r\nb\rc\n"], "> a\r\n> b\rc\n"],
    ["nothing", [], ""],
  ];
  for (const [what, chunks, wanted] of cases) {
    it(`takes ${what}`, async () => {
      assert.equal((await through(chunks)).toString(), wanted);
    });
  }

  it("gives out no line before it is complete", () => {
    const prefix = new LinePrefix("> ");
    prefix.write("half");
    assert.equal(prefix.read(), null);
    prefix.write("\n");
    assert.equal(String(prefix.read()), "> half\n");
  });

  it("passes bytes on that are no UTF-8", async () => {
    const bytes = Buffer.from([0xff, 0x00, 0xc3, 0x0a, 0x80]);
    assert.deepEqual(
      await through([bytes]),
      Buffer.concat([Buffer.from("> "), bytes.subarray(0, 4), Buffer.from("> \x80\n", "latin1")]),
    );
  });

  it("breaks a line that is too long, between two characters", async () => {
    const line = "ä".repeat(LINE_BYTES_MAX);
    const lines = (await through(["x", line, "\nend\n"])).toString().trimEnd().split("\n");
    assert.equal(lines.map((each) => each.replace(/^> /, "")).join(""), `x${line}end`);
    for (const each of lines) assert.ok(Buffer.byteLength(each) <= LINE_BYTES_MAX + 2);
    assert.equal(lines.at(-1), "> end");
  });

  it("breaks a long line of bytes that are no characters", async () => {
    const out = await through([Buffer.alloc(2 * LINE_BYTES_MAX, 0x80)]);
    assert.equal(out.filter((byte) => byte === 0x80).length, 2 * LINE_BYTES_MAX);
  });

  it("keeps every byte, however the stream is cut", async () => {
    const chunks = fc.array(
      fc.uint8Array({ maxLength: 20 }).map((bytes) => bytes.map((byte) => (byte % 3 === 0 ? 10 : byte))),
    );
    await fc.assert(
      fc.asyncProperty(chunks, async (parts) => {
        const whole = Buffer.concat(parts).toString("latin1");
        const lines = whole === "" ? [] : whole.replace(/\n$/, "").split("\n");
        const wanted = lines.map((line) => `> ${line}\n`).join("");
        assert.equal((await through(parts)).toString("latin1"), wanted);
      }),
    );
  });
});
