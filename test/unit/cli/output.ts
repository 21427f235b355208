// A host for tests of verbs: streams that keep what is written to them.
import { Readable, Writable } from "node:stream";
import type { Host } from "#cli/host.ts";
import type { Signals } from "#cli/signals.ts";

export class Kept extends Writable {
  text = "";

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

export interface TestHost extends Host {
  readonly stdout: Kept;
  readonly stderr: Kept;
}

const NO_SIGNALS: Signals = { take: () => undefined, release: () => Promise.resolve() };

export function testHost(over: Partial<Pick<Host, "env" | "cwd" | "stdin">> = {}): TestHost {
  const streams = { stdin: () => Readable.from([]), stdout: new Kept(), stderr: new Kept() };
  return { env: {}, cwd: process.cwd(), ...streams, signals: NO_SIGNALS, ...over };
}
