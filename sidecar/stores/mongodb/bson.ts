// Documents of BSON in their bytes (https://bsonspec.org/spec.html): finds members and writes values as JSON text. In their
// bytes, because the library's decoder loses the order of members, and bytes that are no UTF-8. Knows no layout.
import { BSON } from "mongodb";

export const TYPES = {
  double: 0x01,
  string: 0x02,
  document: 0x03,
  array: 0x04,
  binary: 0x05,
  undefined: 0x06,
  objectId: 0x07,
  boolean: 0x08,
  date: 0x09,
  null: 0x0a,
  regex: 0x0b,
  pointer: 0x0c,
  code: 0x0d,
  symbol: 0x0e,
  scopedCode: 0x0f,
  int32: 0x10,
  timestamp: 0x11,
  int64: 0x12,
  decimal: 0x13,
} as const;

/** Bytes of the types whose values always have as many. The smallest and the largest key have none. */
const FIXED: ReadonlyMap<number, number> = new Map([
  [TYPES.double, 8],
  [TYPES.undefined, 0],
  [TYPES.objectId, 12],
  [TYPES.boolean, 1],
  [TYPES.date, 8],
  [TYPES.null, 0],
  [TYPES.int32, 4],
  [TYPES.timestamp, 8],
  [TYPES.int64, 8],
  [TYPES.decimal, 16],
  [0x7f, 0],
  [0xff, 0],
]);

/** One member: where its value begins and ends in the bytes. */
export interface Element {
  readonly type: number;
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** Calls `each` for the members of the document that begins at `from`, in their order. */
export function eachElement(bytes: Buffer, from: number, each: (element: Element) => void): void {
  const end = from + bytes.readInt32LE(from) - 1;
  for (let at = from + 4; at < end; ) {
    const type = bytes.readUInt8(at);
    const nameEnd = bytes.indexOf(0, at + 1);
    const name = bytes.toString("utf8", at + 1, nameEnd);
    const to = endOfValue(bytes, type, nameEnd + 1);
    each({ type, name, from: nameEnd + 1, to });
    at = to;
  }
}

function endOfValue(bytes: Buffer, type: number, from: number): number {
  const fixed = FIXED.get(type);
  if (fixed !== undefined) return from + fixed;
  if (type === TYPES.regex) return bytes.indexOf(0, bytes.indexOf(0, from) + 1) + 1;
  const length = bytes.readInt32LE(from);
  if (type === TYPES.binary) return from + 5 + length;
  if (type === TYPES.pointer) return from + 4 + length + 12;
  const isWhole = type === TYPES.document || type === TYPES.array || type === TYPES.scopedCode;
  return from + length + (isWhole ? 0 : 4);
}

/** The bytes of a string's text, which need not be UTF-8: a window, not a copy. */
export function stringBytes(bytes: Buffer, { from, to }: Element): Buffer {
  return bytes.subarray(from + 4, to - 1);
}

/** Any value as JSON text; what JSON has no word for is written as MongoDB's relaxed extended JSON. */
export function toJson(bytes: Buffer, element: Element): string {
  const { type, from } = element;
  switch (type) {
    case TYPES.double:
      return doubleToJson(bytes, element);
    case TYPES.string:
      return JSON.stringify(stringBytes(bytes, element).toString());
    case TYPES.document:
    case TYPES.array:
      return membersToJson(bytes, from, type === TYPES.document);
    case TYPES.boolean:
      return bytes[from] === 0 ? "false" : "true";
    case TYPES.null:
      return "null";
    case TYPES.int32:
      return String(bytes.readInt32LE(from));
    case TYPES.int64:
      return String(bytes.readBigInt64LE(from));
    default:
      return toExtendedJson(bytes, element);
  }
}

function doubleToJson(bytes: Buffer, element: Element): string {
  const double = bytes.readDoubleLE(element.from);
  if (!Number.isFinite(double)) return toExtendedJson(bytes, element);
  return Object.is(double, -0) ? "-0" : String(double);
}

/** Its depth is that of the document, which the server bounds. */
function membersToJson(bytes: Buffer, from: number, named: boolean): string {
  const parts: string[] = [];
  eachElement(bytes, from, (element) => {
    const value = toJson(bytes, element);
    parts.push(named ? `${JSON.stringify(element.name)}:${value}` : value);
  });
  return named ? `{${parts.join(",")}}` : `[${parts.join(",")}]`;
}

/** By the library, of a document that has this member alone, under the name "v". */
function toExtendedJson(bytes: Buffer, { type, from, to }: Element): string {
  const document = Buffer.alloc(4 + 3 + (to - from) + 1);
  document.writeInt32LE(document.length, 0);
  document.writeUInt8(type, 4);
  document.write("v", 5, "latin1");
  bytes.copy(document, 7, from, to);
  const { v } = BSON.deserialize(document, { promoteValues: false, validation: { utf8: false } });
  return BSON.EJSON.stringify(v, { relaxed: true });
}
