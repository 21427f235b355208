// Automatic encryption: a value in the form that Dapr stores it in, and back (dapr-state-api.md 6). Knows no manifest,
// no secret store and no driver.
//
//   base64(nonce[12] + ciphertext + tag[16]) "||" name of the secret that the key comes from
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { StoreError } from "../stores/store.ts";
import type { ValueCipher } from "./table.ts";

const SEPARATOR = "||";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const QUOTE = 0x22;

export interface EncryptionKey {
  /** Name of its secret; {@link canEndValue} holds for it. */
  readonly name: string;
  /** 16, 24 or 32 of them: AES-128, AES-192 or AES-256. */
  readonly bytes: Uint8Array;
}

/** What a Component says of encryption. */
export interface Encryption {
  /** Everything is written under this one. */
  readonly primary: EncryptionKey;
  /** Only reads. */
  readonly secondary: EncryptionKey | null;
  /** How a JSON string is kept where the caller lets the store choose: its characters, or its JSON text. */
  readonly strings: "text" | "json";
}

/** Whether the name is found again behind a value, where what follows the last separator counts. */
export function canEndValue(name: string): boolean {
  return name !== "" && (SEPARATOR + name).lastIndexOf(SEPARATOR) === 0;
}

/** The cipher of a state store, by the name of its Component. */
export function createCipher(store: string, encryption: Encryption): ValueCipher {
  return new AesGcmCipher(store, encryption);
}

interface ReadyKey {
  readonly name: string;
  readonly algorithm: "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm";
  readonly key: KeyObject;
}

class AesGcmCipher implements ValueCipher {
  readonly #store: string;
  readonly #primary: ReadyKey;
  readonly #keys: readonly ReadyKey[];
  /** Behind every value that is written. */
  readonly #ending: Buffer;
  readonly #strings: Encryption["strings"];

  constructor(store: string, { primary, secondary, strings }: Encryption) {
    this.#store = store;
    this.#primary = ready(primary);
    this.#keys = secondary === null ? [this.#primary] : [this.#primary, ready(secondary)];
    this.#ending = Buffer.from(SEPARATOR + primary.name);
    this.#strings = strings;
  }

  seal(bytes: Uint8Array, asText: boolean): Uint8Array {
    const plain = asText && this.#strings === "text" && bytes[0] === QUOTE ? characters(bytes) : bytes;
    const sealed = encrypt(this.#primary, plain).toString("base64");
    const stored = Buffer.allocUnsafe(sealed.length + this.#ending.length);
    stored.write(sealed, "latin1");
    this.#ending.copy(stored, sealed.length);
    return stored;
  }

  open(bytes: Uint8Array): Uint8Array {
    // Nothing is ever written so; Dapr reads it as nothing too.
    if (bytes.length === 0) return bytes;
    const stored = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const end = stored.lastIndexOf(SEPARATOR);
    if (end < 0) throw this.#unreadable("the stored value is not encrypted", PLAIN_HINT);
    const name = stored.toString("utf8", end + SEPARATOR.length);
    if (name === "") throw this.#unreadable("encryption key name not found on record", "write the value again");
    const keys = this.#keys.filter((key) => key.name === name);
    // The name is not shown: of a value that was never encrypted it is a part.
    if (keys.length === 0)
      throw this.#unreadable(`it names none of the Component's keys (${this.#names()})`, FOREIGN_HINT);
    const sealed = fromBase64(stored.toString("latin1", 0, end));
    if (sealed === null)
      throw this.#unreadable("what stands before the key's name is no encrypted value", CHANGED_HINT);
    for (const key of keys) {
      const plain = decrypt(key, sealed);
      if (plain !== null) return plain;
    }
    const text = `message authentication failed under the key of secret ${JSON.stringify(name)}`;
    throw this.#unreadable(text, `the secret holds another key than when the value was written, or ${CHANGED_HINT}`);
  }

  #names(): string {
    return [...new Set(this.#keys.map(({ name }) => `secret ${JSON.stringify(name)}`))].join(", ");
  }

  #unreadable(what: string, hint: string): StoreError {
    return new StoreError("corrupt", `could not decrypt data for state store ${this.#store}: ${what}; ${hint}`);
  }
}

const PLAIN_HINT =
  "it was written before its Component had primaryEncryptionKey, or by another program: write it again (docs/encryption.md)";
const FOREIGN_HINT =
  "give the key that it was written under as secondaryEncryptionKey, or write it again (docs/encryption.md)";
const CHANGED_HINT = "what is stored was changed: write it again (docs/encryption.md)";

function ready({ name, bytes }: EncryptionKey): ReadyKey {
  return { name, algorithm: algorithmOf(bytes.length), key: createSecretKey(bytes) };
}

function algorithmOf(keyBytes: number): ReadyKey["algorithm"] {
  if (keyBytes === 16) return "aes-128-gcm";
  return keyBytes === 24 ? "aes-192-gcm" : "aes-256-gcm";
}

/** A fresh random nonce for each value: two values under one nonce and key would give away both. */
function encrypt({ algorithm, key }: ReadyKey, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: TAG_BYTES });
  const sealed = cipher.update(plain);
  const rest = cipher.final();
  return Buffer.concat([nonce, sealed, rest, cipher.getAuthTag()]);
}

/** Null when it does not authenticate. */
function decrypt({ algorithm, key }: ReadyKey, sealed: Buffer): Buffer | null {
  const tagAt = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(tagAt));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, tagAt));
  try {
    // Gives no bytes: it compares the tag, and throws for that alone.
    decipher.final();
    return plain;
  } catch {
    return null;
  }
}

/** Null when it is no base64 with padding, or too short for a nonce and a tag. */
function fromBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  // Node passes over what is no base64: then there are fewer bytes than the text has room for.
  const whole = text.length % 4 === 0 && bytes.length === Buffer.byteLength(text, "base64");
  return whole && bytes.length >= NONCE_BYTES + TAG_BYTES ? bytes : null;
}

/** What a JSON string stands for. A lone surrogate, which no UTF-8 can hold, becomes U+FFFD, as in Go. */
function characters(json: Uint8Array): Uint8Array {
  const text: unknown = JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.length).toString("utf8"));
  return Buffer.from(String(text));
}
