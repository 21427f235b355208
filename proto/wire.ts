// Decoding and encoding of messages, stricter than the runtime's own: a text that is not UTF-8 is refused and not
// mended, since two different keys could become the same one, and no byte order mark is taken off a key.
import { isUtf8 } from "node:buffer";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

/** A generated message's functions. */
export interface MessageType<T> {
  encode(message: T, writer: BinaryWriter): BinaryWriter;
  decode(reader: BinaryReader): T;
}

/** Throws for bytes that are no such message. Members of type bytes are windows on `bytes`. */
export function decodeMessage<T>(type: MessageType<T>, bytes: Uint8Array): T {
  return type.decode(new BinaryReader(bytes, decodeText));
}

export function encodeMessage<T>(type: MessageType<T>, message: T): Uint8Array {
  return type.encode(message, new BinaryWriter(encodeText)).finish();
}

function decodeText(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new Error("a text in the message is not valid UTF-8");
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}

function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return Buffer.from(text);
}
