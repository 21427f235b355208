// The metadata fields that the core reads for every state store, whatever its driver (dapr-state-api.md 5, 6, 10.2).
import { type FieldTable, flag, type Property, pattern, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";

export interface CoreSettings {
  readonly keyPrefix: string;
  readonly actorStateStore: boolean;
  readonly allowUnscopedDelete: boolean;
  readonly primaryEncryptionKey: string | null;
  readonly secondaryEncryptionKey: string | null;
  readonly outboxPublishPubsub: string | null;
  readonly outboxPublishTopic: string | null;
  readonly outboxPubsub: string | null;
  readonly outboxDiscardWhenMissingState: string | null;
}

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
  actorStateStore: flag({ fallback: false, doc: "Accepted as Dapr's; actors use this store." }),
  allowUnscopedDelete: flag({
    fallback: false,
    doc: "Allow delete by prefix although `keyPrefix` is none, where it can reach keys that other applications wrote.",
  }),
  primaryEncryptionKey: text({
    fallback: null,
    secret: true,
    doc: "Refused in this release, which has no automatic encryption: values would be written as plain text.",
  }),
  secondaryEncryptionKey: text({ fallback: null, secret: true, doc: "Refused, as primaryEncryptionKey is." }),
  outboxPublishPubsub: text(outbox),
  outboxPublishTopic: text(outbox),
  outboxPubsub: text(outbox),
  outboxDiscardWhenMissingState: text(outbox),
};

/** For the driver's decoder: names that are none of its business. */
export const CORE_FIELD_NAMES: readonly string[] = Object.keys(coreFields);

/** Errors for what the store must not be opened with, since data would be lost or stored in clear without a word. */
export function refusedFields(properties: readonly Property[]): readonly Fault[] {
  const given = new Set(properties.map(({ name }) => name.toLowerCase()));
  return REFUSED.filter(({ field }) => given.has(field.toLowerCase())).map(({ field, want, hint }) => {
    return { severity: "error", field, got: null, want, hint };
  });
}

const UNENCRYPTED =
  "this release has no automatic encryption and the values would be stored as plain text; remove the field, or keep Dapr for this store";
const NO_PUBSUB =
  "Pannier has no pub/sub and the messages would be lost; remove the outbox fields, or keep Dapr for this app";

interface Refusal {
  readonly field: keyof CoreSettings;
  readonly want: string;
  readonly hint: string;
}

const REFUSED: readonly Refusal[] = [
  { field: "primaryEncryptionKey", want: "no encryption key", hint: UNENCRYPTED },
  { field: "secondaryEncryptionKey", want: "no encryption key", hint: UNENCRYPTED },
  { field: "outboxPublishPubsub", want: "no outbox", hint: NO_PUBSUB },
  { field: "outboxPublishTopic", want: "no outbox", hint: NO_PUBSUB },
  { field: "outboxPubsub", want: "no outbox", hint: NO_PUBSUB },
  { field: "outboxDiscardWhenMissingState", want: "no outbox", hint: NO_PUBSUB },
];
