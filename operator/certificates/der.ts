// The few shapes of DER (X.690) that a certificate is made of: writing them, and finding a member again. Knows no field.

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;
const CONTEXT = 0x80;
const CONSTRUCTED = 0x20;
const LONG_LENGTH = 0x80;

export function sequence(...members: readonly Buffer[]): Buffer {
  return tagged(TAG.sequence, Buffer.concat(members));
}

/** A set of one, so that DER's order of members does not come up. */
export function setOf(member: Buffer): Buffer {
  return tagged(TAG.set, member);
}

/** `bytes`: an unsigned number, most significant byte first, at least one. */
export function unsigned(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const shortest = bytes.subarray(start);
  const wouldBeNegative = ((shortest[0] ?? 0) & 0x80) !== 0;
  return tagged(TAG.integer, wouldBeNegative ? Buffer.concat([Buffer.of(0), shortest]) : shortest);
}

export function boolean(value: boolean): Buffer {
  return tagged(TAG.boolean, Buffer.of(value ? 0xff : 0));
}

/** `unused`: how many bits at the end of the last byte do not count. */
export function bitString(bytes: Buffer, unused = 0): Buffer {
  return tagged(TAG.bitString, Buffer.concat([Buffer.of(unused), bytes]));
}

export function octetString(bytes: Buffer): Buffer {
  return tagged(TAG.octetString, bytes);
}

export function utf8String(text: string): Buffer {
  return tagged(TAG.utf8String, Buffer.from(text, "utf8"));
}

/** `dotted`: "2.5.4.3" */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return tagged(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(arc: number): number[] {
  const digits = [arc % 128];
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift(128 + (left % 128));
  return digits;
}

/** To the second; of two digits of the year before 2050, as RFC 5280 4.1.2.5 wants it. */
export function time(atMs: number): Buffer {
  const text = `${new Date(atMs).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
  const isShort = text < "2050";
  return tagged(isShort ? TAG.utcTime : TAG.generalizedTime, Buffer.from(isShort ? text.slice(2) : text, "ascii"));
}

/** `[number]` around whole elements, or instead of the tag of bytes. */
export function context(number: number, content: Buffer, form: "around" | "bytes"): Buffer {
  return tagged(CONTEXT + number + (form === "around" ? CONSTRUCTED : 0), content);
}

function tagged(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(tag), lengthOf(content.length), content]);
}

function lengthOf(length: number): Buffer {
  if (length < LONG_LENGTH) return Buffer.of(length);
  const digits: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) digits.unshift(left % 256);
  return Buffer.of(LONG_LENGTH + digits.length, ...digits);
}

/**
 * The whole elements in a sequence or set that OpenSSL has read without complaint: lengths are not checked once more.
 */
export function membersOf(element: Buffer): readonly Buffer[] {
  const members: Buffer[] = [];
  let at = contentStart(element, 0);
  while (at < element.length) {
    const end = contentStart(element, at) + contentLength(element, at);
    members.push(element.subarray(at, end));
    at = end;
  }
  return members;
}

/** What is in a bit string of whole bytes. */
export function bitsOf(element: Buffer): Buffer {
  return element.subarray(contentStart(element, 0) + 1);
}

function contentStart(bytes: Buffer, at: number): number {
  const length = bytes[at + 1] ?? 0;
  return at + 2 + (length < LONG_LENGTH ? 0 : length - LONG_LENGTH);
}

function contentLength(bytes: Buffer, at: number): number {
  const length = bytes[at + 1] ?? 0;
  return length < LONG_LENGTH ? length : bytes.readUIntBE(at + 2, length - LONG_LENGTH);
}
