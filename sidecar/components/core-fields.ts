// The metadata fields that the core reads for every state store, whatever its driver (dapr-state-api.md 5, 6, 10.2).
import { type FieldTable, flag, type Property, pattern, text, word } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";

export interface CoreSettings {
  readonly keyPrefix: string;
  readonly actorStateStore: boolean;
  readonly allowUnscopedDelete: boolean;
  /** Hexadecimal digits. */
  readonly primaryEncryptionKey: string | null;
  readonly secondaryEncryptionKey: string | null;
  readonly encryptedStrings: "text" | "json";
  readonly outboxPublishPubsub: string | null;
  readonly outboxPublishTopic: string | null;
  readonly outboxPubsub: string | null;
  readonly outboxDiscardWhenMissingState: string | null;
}

/** Of 16, 24 or 32 bytes, as hexadecimal digits in any case: AES-128, AES-192 or AES-256. */
const encryptionKey = {
  fallback: null,
  secret: true,
  shape: /^([0-9a-f]{32}|[0-9a-f]{48}|[0-9a-f]{64})$/i,
  want: "an AES key as 32, 48 or 64 hexadecimal digits, without anything before or after them",
};

const outbox = {
  fallback: null,
  doc: "Refused: Pannier has no pub/sub, so what the outbox should send would be lost.",
};

export const coreFields: FieldTable<CoreSettings> = {
  keyPrefix: pattern({
    fallback: "appid",
    shape: /^(?!.*\|\|)/s,
    want: 'appid, name, namespace, none or a prefix of your own without "||"',
    doc: "What stands before each key in the store; taken in lower case. Any other word is itself the prefix.",
  }),
  actorStateStore: flag({
    fallback: false,
    doc: "This store keeps the state of actors. At most one Component of an app may say so.",
  }),
  allowUnscopedDelete: flag({
    fallback: false,
    doc: "Allow delete by prefix although `keyPrefix` is none, where it can reach keys that other applications wrote.",
  }),
  primaryEncryptionKey: pattern({
    ...encryptionKey,
    doc: "The key that values are encrypted and decrypted with, from a `secretKeyRef`.",
  }),
  secondaryEncryptionKey: pattern({
    ...encryptionKey,
    doc: "A key that values are only decrypted with, while one key takes the place of another.",
  }),
  encryptedStrings: word({
    fallback: "text",
    words: ["text", "json"],
    doc: "What an encrypted store keeps of a JSON string that comes over HTTP: its characters, as Dapr does, or its JSON text.",
  }),
  outboxPublishPubsub: text(outbox),
  outboxPublishTopic: text(outbox),
  outboxPubsub: text(outbox),
  outboxDiscardWhenMissingState: text(outbox),
};

/** For the driver's decoder: names that are none of its business. */
export const CORE_FIELD_NAMES: readonly string[] = Object.keys(coreFields);

/** Errors for what the store must not be opened with, since data would be lost without a word. */
export function refusedFields(properties: readonly Property[]): readonly Fault[] {
  const given = new Set(properties.map(({ name }) => name.toLowerCase()));
  return REFUSED.filter(({ field }) => given.has(field.toLowerCase())).map(({ field, want, hint }) => {
    return { severity: "error", field, got: null, want, hint };
  });
}

const NO_PUBSUB =
  "Pannier has no pub/sub and the messages would be lost; remove the outbox fields, or keep Dapr for this app";

interface Refusal {
  readonly field: keyof CoreSettings;
  readonly want: string;
  readonly hint: string;
}

const REFUSED: readonly Refusal[] = [
  { field: "outboxPublishPubsub", want: "no outbox", hint: NO_PUBSUB },
  { field: "outboxPublishTopic", want: "no outbox", hint: NO_PUBSUB },
  { field: "outboxPubsub", want: "no outbox", hint: NO_PUBSUB },
  { field: "outboxDiscardWhenMissingState", want: "no outbox", hint: NO_PUBSUB },
];
