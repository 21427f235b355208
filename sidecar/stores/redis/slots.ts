// The hash slots of a cluster: which slot a key has, and which node serves it, as CLUSTER SLOTS tells
// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/). Knows no connection.
import { createHash } from "node:crypto";
import { type Address, formatAddress, hostAndPort } from "./address.ts";
import { RedisError } from "./errors.ts";

export const SLOTS = 16_384;
/** Most masters that Redis itself is made for. */
const MASTERS_MAX = 1_000;

export interface SlotRange {
  readonly first: number;
  /** Included. */
  readonly last: number;
}

export interface Master {
  readonly address: Address;
  readonly ranges: readonly SlotRange[];
}

export interface SlotMap {
  /** In the order of their first slots. */
  readonly masters: readonly Master[];
  /** Stands for how the slots are spread over masters, wherever those are: a failover changes nothing in it. */
  readonly spread: string;
}

const POLYNOMIAL = 0x1021;
const BITS = 8;

/** CRC16 of each byte, in its XMODEM form. */
const TABLE: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << BITS;
  for (let bit = 0; bit < BITS; bit++) crc = crc & 0x8000 ? (crc << 1) ^ POLYNOMIAL : crc << 1;
  return crc;
});

/** The slot of a key: of what stands in its first braces, when there is anything, else of all of it. */
export function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  const bytes = Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key);
  let crc = 0;
  for (const byte of bytes) crc = ((crc << BITS) & 0xffff) ^ (TABLE[(crc >> BITS) ^ byte] ?? 0);
  return crc % SLOTS;
}

/** Reads the answer to CLUSTER SLOTS that the node at `asked` gave. */
export function readSlotMap(answer: unknown, asked: Address): SlotMap {
  const ranges = new Map<string, { address: Address; ranges: SlotRange[] }>();
  for (const each of Array.isArray(answer) ? answer : []) {
    const [first, last, master]: unknown[] = Array.isArray(each) ? each : [];
    const [host, port]: unknown[] = Array.isArray(master) ? master : [];
    const address = hostAndPort(String(host ?? ""), String(port), asked);
    if (!isSlot(first) || !isSlot(last) || address === null) throw unreadable(asked);
    const server = formatAddress(address);
    const known = ranges.get(server) ?? { address, ranges: [] };
    known.ranges.push({ first, last });
    ranges.set(server, known);
  }
  if (ranges.size === 0)
    throw new RedisError("unavailable", `redis at ${formatAddress(asked)} serves no hash slots yet`);
  if (ranges.size > MASTERS_MAX) throw unreadable(asked);
  const masters = [...ranges.values()];
  for (const master of masters) master.ranges.sort((a, b) => a.first - b.first);
  masters.sort((a, b) => firstOf(a) - firstOf(b));
  return { masters, spread: digestOf(masters) };
}

function isSlot(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < SLOTS;
}

function firstOf(master: Master): number {
  return master.ranges[0]?.first ?? SLOTS;
}

/** What several nodes tell together: their spread when they agree, else one that none of them has alone. */
export function spreadOf(maps: readonly SlotMap[]): string {
  const spreads = [...new Set(maps.map(({ spread }) => spread))].sort();
  return spreads.length === 1 ? (spreads[0] ?? "") : digest(spreads.join(" "));
}

function digestOf(masters: readonly Master[]): string {
  return digest(JSON.stringify(masters.map(({ ranges }) => ranges.map(({ first, last }) => [first, last]))));
}

const DIGEST_BYTES = 8;

function digest(text: string): string {
  return createHash("sha256").update(text).digest().toString("base64url", 0, DIGEST_BYTES);
}

function unreadable(asked: Address): RedisError {
  const text = `redis at ${formatAddress(asked)} gave an answer that CLUSTER SLOTS does not give`;
  return new RedisError("unavailable", text);
}
