// memcached's meta commands as bytes, and its answers out of bytes, whatever pieces they come in
// (https://docs.memcached.org/protocols/meta/). Knows no socket.
import { StoreError } from "../store.ts";

/** A key as it stands in a command. */
export interface KeyToken {
  readonly text: string;
  /** The text is base64: the key has bytes that end a word of the protocol. */
  readonly isBase64: boolean;
}

/** The longest word that the server takes for a key. */
export const KEY_BYTES_MAX = 250;
const SPACE = 0x20;
const DELETE = 0x7f;

/** Throws a StoreError of code `refused` for a key that is too long. */
export function tokenOf(key: Buffer): KeyToken {
  const isBase64 = key.some((byte) => byte <= SPACE || byte === DELETE) || key.length === 0;
  const text = isBase64 ? key.toString("base64") : key.toString("latin1");
  if (text.length <= KEY_BYTES_MAX) return { text, isBase64 };
  const most = isBase64
    ? `${(KEY_BYTES_MAX - (KEY_BYTES_MAX % 4)) * 0.75}, as it has a space or a control character`
    : KEY_BYTES_MAX;
  throw new StoreError("refused", `a key of ${key.length} bytes, its prefix included; memcached takes at most ${most}`);
}

const END = Buffer.from("\r\n");

function command(words: readonly string[], { isBase64 }: KeyToken): string {
  return `${words.join(" ")}${isBase64 ? " b" : ""}\r\n`;
}

/** Asks for the value, its CAS number, and the seconds that it has left. */
export function getCommand(key: KeyToken): Buffer {
  return Buffer.from(command(["mg", key.text, "v", "c", "t"], key), "latin1");
}

export interface SetCommand {
  readonly key: KeyToken;
  readonly bytes: Uint8Array;
  /** memcached's word: 0 for never, seconds up to 30 days, else the hour in Unix time. */
  readonly exptime: number;
  /** The CAS number that the value must have; null for any, and for none. */
  readonly cas: string | null;
  /** Only where there is no value. */
  readonly add: boolean;
}

export function setCommand({ key, bytes, exptime, cas, add }: SetCommand): Buffer {
  const words = ["ms", key.text, String(bytes.length), `T${exptime}`];
  if (cas !== null) words.push(`C${cas}`);
  else if (add) words.push("ME");
  return Buffer.concat([Buffer.from(command(words, key), "latin1"), bytes, END]);
}

export function deleteCommand(key: KeyToken, cas: string | null): Buffer {
  return Buffer.from(command(["md", key.text, ...(cas === null ? [] : [`C${cas}`])], key), "latin1");
}

export const VERSION_COMMAND: Buffer = Buffer.from("version\r\n");
export const SETTINGS_COMMAND: Buffer = Buffer.from("stats settings\r\n");

export interface Reply {
  /** The words of the line: "HD", "VA 5 c1 t-1". */
  readonly words: readonly string[];
  readonly value: Buffer | null;
}

/** A line of a reply is no longer than this, its end included. */
const LINE_BYTES_MAX = 4096;

/** Cuts what comes in into replies. */
export class ReplyReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** The line of a reply whose value has not come in whole, and how many bytes that has, its end included. */
  #head: { readonly words: readonly string[]; readonly wanted: number } | null = null;

  /** Gives the replies that are whole. Throws for what is no reply of memcached's. */
  read(chunk: Buffer): readonly Reply[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    // Large values come in many pieces: they are put together once.
    if (this.#head !== null && this.#bytes < this.#head.wanted) return [];
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    const replies: Reply[] = [];
    for (;;) {
      if (this.#head === null) {
        const end = rest.indexOf("\r\n");
        if (end < 0 && rest.length > LINE_BYTES_MAX) throw new Error("a line without an end");
        if (end < 0) break;
        const words = rest.toString("latin1", 0, end).split(" ");
        rest = rest.subarray(end + END.length);
        if (words[0] !== "VA") {
          replies.push({ words, value: null });
          continue;
        }
        const size = Number(words[1]);
        if (!Number.isSafeInteger(size) || size < 0) throw new Error("a value without a size");
        this.#head = { words, wanted: size + END.length };
      }
      const { words, wanted } = this.#head;
      if (rest.length < wanted) break;
      if (!rest.subarray(wanted - END.length, wanted).equals(END)) throw new Error("a value of another size");
      replies.push({ words, value: rest.subarray(0, wanted - END.length) });
      rest = rest.subarray(wanted);
      this.#head = null;
    }
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    return replies;
  }
}
