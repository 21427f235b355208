// Closed-loop gRPC load, frames written by hand: a client library costs more per call than the server that is measured.
// Each connection has one call under way. An answer counts when it has a message: a failed call has only trailers.
import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { type LoadResult, summed } from "./measured.ts";

export interface GrpcLoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly durationMs: number;
  /** "/dapr.proto.runtime.v1.Dapr/GetState" */
  readonly path: string;
  /** The request message, encoded. */
  readonly message: Uint8Array;
  /** Least bytes of the answer's message. */
  readonly answerBytesMin: number;
}

export async function grpcLoad(options: GrpcLoadOptions): Promise<LoadResult> {
  const latenciesUs: number[] = [];
  const start = performance.now();
  const end = start + options.durationMs;
  await Promise.all(Array.from({ length: options.connections }, () => lane(options, end, latenciesUs)));
  return summed(latenciesUs, (performance.now() - start) / 1000);
}

// RFC 9113, 6: frame types and flags.
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const FRAME_HEAD_BYTES = 9;
/** Bytes that the server may send before it hears of more room; told again when half of them have come. */
const WINDOW_BYTES = 2 ** 30;

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, FRAME_HEAD_BYTES);
  return bytes;
}

function windowUpdate(bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return frame(WINDOW_UPDATE, 0, 0, payload);
}

/** RFC 7541, 6.2.2: a literal that no table keeps, so that the block is the same for every call. */
function literal(name: string, value: string): Buffer {
  const [nameBytes, valueBytes] = [Buffer.from(name), Buffer.from(value)];
  if (nameBytes.length > 126 || valueBytes.length > 126) throw new Error(`the header ${name} is too long`);
  return Buffer.concat([Buffer.of(0, nameBytes.length), nameBytes, Buffer.of(valueBytes.length), valueBytes]);
}

function headerBlock(path: string): Buffer {
  const headers = {
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "bench",
    te: "trailers",
    "content-type": "application/grpc",
  };
  return Buffer.concat(Object.entries(headers).map(([name, value]) => literal(name, value)));
}

function opening(): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(4, 0); // SETTINGS_INITIAL_WINDOW_SIZE
  settings.writeUInt32BE(WINDOW_BYTES, 2);
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  return Buffer.concat([preface, frame(SETTINGS, 0, 0, settings), windowUpdate(WINDOW_BYTES)]);
}

/** Both frames of a call; the stream's number is put in anew each time. */
function callBytes(options: GrpcLoadOptions): { readonly bytes: Buffer; readonly dataAt: number } {
  const prefixed = Buffer.alloc(5 + options.message.length);
  prefixed.writeUInt32BE(options.message.length, 1);
  prefixed.set(options.message, 5);
  const headers = frame(HEADERS, END_HEADERS, 0, headerBlock(options.path));
  return { bytes: Buffer.concat([headers, frame(DATA, END_STREAM, 0, prefixed)]), dataAt: headers.length };
}

function lane(options: GrpcLoadOptions, end: number, latenciesUs: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port: options.port, host: "127.0.0.1", noDelay: true });
    const { bytes, dataAt } = callBytes(options);
    let stream = -1;
    let sentAt = 0;
    let answerBytes = 0;
    let unacknowledged = 0;
    let rest: Buffer = Buffer.alloc(0);
    const send = (): void => {
      stream += 2;
      answerBytes = 0;
      bytes.writeUInt32BE(stream, 5);
      bytes.writeUInt32BE(stream, dataAt + 5);
      sentAt = performance.now();
      // A copy: the socket may still hold the bytes of the call before.
      socket.write(Buffer.from(bytes));
    };
    const done = (): void => {
      if (answerBytes < 5 + options.answerBytesMin) {
        reject(new Error(`${options.path}: got ${answerBytes} bytes of answer, want ${5 + options.answerBytesMin}`));
        socket.destroy();
        return;
      }
      const now = performance.now();
      latenciesUs.push((now - sentAt) * 1000);
      if (now < end) send();
      else socket.end(resolve);
    };
    const take = (type: number, flags: number, payload: Buffer): void => {
      if (type === SETTINGS && (flags & ACK) === 0) socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
      else if (type === PING && (flags & ACK) === 0) socket.write(frame(PING, ACK, 0, payload));
      else if (type === DATA) {
        answerBytes += payload.length;
        unacknowledged += payload.length;
        if (unacknowledged > WINDOW_BYTES / 2) {
          socket.write(windowUpdate(unacknowledged));
          unacknowledged = 0;
        }
      } else if (type === RST_STREAM || type === GOAWAY) reject(new Error(`the server ended the call (frame ${type})`));
      if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) done();
    };
    socket.on("connect", () => {
      socket.write(opening());
      send();
    });
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length >= FRAME_HEAD_BYTES) {
        const length = FRAME_HEAD_BYTES + rest.readUIntBE(0, 3);
        if (rest.length < length) return;
        const [type, flags] = [rest[3] ?? 0, rest[4] ?? 0];
        const payload = rest.subarray(FRAME_HEAD_BYTES, length);
        rest = rest.subarray(length);
        take(type, flags, payload);
      }
    });
  });
}
