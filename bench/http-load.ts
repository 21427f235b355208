// Closed-loop HTTP load over plain sockets: each connection sends one request and waits for its answer. It does as little
// as possible per request, so that the measured process and not this one is what runs out of CPU.
import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { type LoadResult, summed } from "./measured.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly durationMs: number;
  /** The bytes of one request. */
  readonly request: Buffer;
  /** How every answer must begin, as "HTTP/1.1 200"; anything else ends the run with an error. */
  readonly expected: string;
}

const HEAD_END = Buffer.from("\r\n\r\n");

export async function httpLoad(options: LoadOptions): Promise<LoadResult> {
  const latenciesUs: number[] = [];
  const start = performance.now();
  const end = start + options.durationMs;
  const lanes = Array.from({ length: options.connections }, () => lane(options, end, latenciesUs));
  await Promise.all(lanes);
  return summed(latenciesUs, (performance.now() - start) / 1000);
}

function lane(options: LoadOptions, end: number, latenciesUs: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port: options.port, host: "127.0.0.1", noDelay: true });
    const expected = Buffer.from(options.expected);
    let sentAt = 0;
    let rest: Buffer = Buffer.alloc(0);
    const send = (): void => {
      sentAt = performance.now();
      socket.write(options.request);
    };
    socket.on("connect", send);
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const length = answerLength(rest);
      if (length < 0 || rest.length < length) return;
      if (!rest.subarray(0, expected.length).equals(expected)) {
        reject(new Error(`want ${options.expected}, got ${rest.toString("latin1", 0, 300)}`));
        return;
      }
      rest = Buffer.alloc(0);
      const now = performance.now();
      latenciesUs.push((now - sentAt) * 1000);
      if (now < end) send();
      else socket.end(resolve);
    });
  });
}

/** Bytes of head and body, or -1 while the head is not complete. */
function answerLength(bytes: Buffer): number {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return -1;
  const head = bytes.toString("latin1", 0, headEnd);
  const at = head.indexOf("Content-Length: ");
  return headEnd + 4 + (at < 0 ? 0 : Number.parseInt(head.slice(at + 16), 10));
}
