// Dapr's layouts in etcd (dapr-state-stores.md 13b): how a key is named there, and what stands under it in v1 and v2.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { StoreError } from "../store.ts";
import { readMessage } from "./messages.ts";

/** What a value of the layout is made of. */
export interface Content {
  readonly bytes: Uint8Array;
  /** Milliseconds since 1970 UTC as the writer computed it; null where the layout does not keep it. */
  readonly expiresAtMs: number | null;
}

export interface Layout {
  readonly version: "v1" | "v2";
  /** `ttlSec` null: no expiry. */
  encode(bytes: Uint8Array, ttlSec: number | null, nowMs: number): Uint8Array;
  /** Throws a StoreError of code `corrupt` for what is no value of this layout. */
  decode(value: Uint8Array): Content;
}

/** The value's bytes as they came; the lease alone knows of an expiry. */
export const v1Layout: Layout = {
  version: "v1",
  encode: (bytes) => bytes,
  decode: (value) => ({ bytes: value, expiresAtMs: null }),
};

/** A message: `bytes data = 1; Timestamp ts = 2; Duration ttl = 3`, where Dapr always writes a ttl, of 0 s for none. */
export const v2Layout: Layout = {
  version: "v2",
  encode(bytes, ttlSec, nowMs) {
    const writer = new BinaryWriter();
    if (bytes.length > 0) writer.tag(1, WireType.LengthDelimited).bytes(bytes);
    const seconds = Math.floor(nowMs / 1000);
    writePair(writer, 2, { seconds, nanos: Math.floor(nowMs - seconds * 1000) * NS_PER_MS });
    writePair(writer, 3, { seconds: ttlSec ?? 0, nanos: 0 });
    return writer.finish();
  },
  decode(value) {
    const parts: { data: Uint8Array; ts: number | null; ttl: number | null } = { data: EMPTY, ts: null, ttl: null };
    try {
      readMessage(value, {
        1: (reader) => {
          parts.data = reader.bytes();
        },
        2: (reader) => {
          parts.ts = pairMs(reader.bytes());
        },
        3: (reader) => {
          parts.ttl = pairMs(reader.bytes());
        },
      });
    } catch {
      // The runtime's words on bytes that are no message say nothing that helps.
      throw corrupt();
    }
    // Text can look like a message of unknown fields; every message of Dapr's has its time.
    if (parts.ts === null) throw corrupt();
    return { bytes: parts.data, expiresAtMs: parts.ttl === null || parts.ttl <= 0 ? null : parts.ts + parts.ttl };
  },
};

const EMPTY: Uint8Array = new Uint8Array(0);
const NS_PER_MS = 1_000_000;

interface Pair {
  readonly seconds: number;
  readonly nanos: number;
}

/** Timestamp and Duration alike: `int64 seconds = 1; int32 nanos = 2`, zeros left out. */
function writePair(writer: BinaryWriter, field: number, { seconds, nanos }: Pair): void {
  const pair = writer.tag(field, WireType.LengthDelimited).fork();
  if (seconds !== 0) pair.tag(1, WireType.Varint).int64(seconds);
  if (nanos !== 0) pair.tag(2, WireType.Varint).int32(nanos);
  pair.join();
}

function pairMs(encoded: Uint8Array): number {
  let ms = 0;
  readMessage(encoded, {
    1: (reader) => {
      ms += Number(reader.int64()) * 1000;
    },
    2: (reader) => {
      ms += Math.floor(reader.int32() / NS_PER_MS);
    },
  });
  return ms;
}

function corrupt(): StoreError {
  return new StoreError(
    "corrupt",
    "what is under the key is no value in the layout of state.etcd v2; something else wrote it, or version v1",
  );
}

/** How keys are named there: `<keyPrefixPath>/<key>`, with the slash also where there is no path. */
export class KeyNames {
  readonly #prefix: Buffer;

  constructor(keyPrefixPath: string) {
    this.#prefix = Buffer.from(`${keyPrefixPath}/`);
  }

  nameOf(key: string): Buffer {
    return Buffer.concat([this.#prefix, Buffer.from(key)]);
  }

  /** The key of a name that begins with the prefix. */
  keyOf(name: Uint8Array): string {
    return Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString("utf8", this.#prefix.length);
  }
}

/** The first name behind all that begin with this one. No byte of UTF-8 is the last of all, so the last can be raised. */
export function behind(name: Buffer): Buffer {
  const end = Buffer.from(name);
  const last = end.length - 1;
  end[last] = (end[last] ?? 0) + 1;
  return end;
}

/** The name that follows this one. */
export function after(name: Buffer): Buffer {
  return Buffer.concat([name, Buffer.of(0)]);
}
