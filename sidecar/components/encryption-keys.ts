// The encryption keys of a state store Component, or why it must not be opened. Whatever is wrong with a key is an
// error: the store would be opened without it, and values written as plain text (dapr-state-api.md 6).
import { type FieldTable, fieldFinder, type Property, type SecretReference } from "#crds/fields.ts";
import { describeFault, type Fault } from "#kit/fault.ts";
import { nearest } from "#kit/nearest.ts";
import { canEndValue, type Encryption, type EncryptionKey } from "../state/encryption.ts";
import { type CoreSettings, coreFields } from "./core-fields.ts";

const PRIMARY = "primaryEncryptionKey";
const SECONDARY = "secondaryEncryptionKey";
const STRINGS = "encryptedStrings";
const PAGE = "see docs/encryption.md";
const PLAIN = `without it values would be written as plain text; ${PAGE}`;
/** Whatever sounds like it and is no field was meant to be a key. */
const SOUNDS_LIKE_KEY = /encr|(primary|secondary).*key/i;

/** Why a store that serves with a key is not replaced by one without, as the end of a Component's failure. */
export const KEY_LOST: string = describeFault(
  error(
    PRIMARY,
    "the key that it has had until now",
    `without it new values would be plain text, and those in the store would come back as ciphertext: give it back, or restart the sidecar to stop encrypting on purpose; ${PAGE}`,
  ),
);

/** What is wrong with where the keys come from, and between them; that each is a key is judged by its field. */
export function encryptionFaults(properties: readonly Property[]): readonly Fault[] {
  const primary = find(properties, PRIMARY);
  const secondary = find(properties, SECONDARY);
  const faults = [...sourceFaults(PRIMARY, primary), ...sourceFaults(SECONDARY, secondary)];
  if (primary === undefined && secondary !== undefined) faults.push(error(PRIMARY, `a key beside ${SECONDARY}`, PLAIN));
  if (primary === undefined && secondary === undefined && find(properties, STRINGS) !== undefined)
    faults.push(warning(STRINGS, `${PRIMARY} beside it`, "without a key nothing is encrypted, and it has no effect"));
  const [one, other] = [primary?.secretRef, secondary?.secretRef];
  if (one !== undefined && one.name === other?.name && one.key === other.key)
    faults.push(warning(SECONDARY, `another key than ${PRIMARY}'s`, "it is the same one, and opens nothing more"));
  return faults;
}

/** Null without keys. The properties have no faults. */
export function encryptionOf(settings: CoreSettings, properties: readonly Property[]): Encryption | null {
  const primary = keyOf(settings.primaryEncryptionKey, find(properties, PRIMARY)?.secretRef);
  const secondary = keyOf(settings.secondaryEncryptionKey, find(properties, SECONDARY)?.secretRef);
  return primary === null ? null : { primary, secondary, strings: settings.encryptedStrings };
}

/**
 * Errors for names that no table knows and that are nearly those of the keys, or sound like them: anywhere else a
 * mistyped name is a warning, here it would be plain text in the store.
 */
export function mistypedKeys(properties: readonly Property[], driver: FieldTable<object>): Fault[] {
  const known = fieldFinder([coreFields, driver]);
  const unknown = properties.filter(({ name }) => known(name) === undefined);
  return unknown.flatMap(({ name }) => {
    const near = nearest(name, [PRIMARY, SECONDARY, STRINGS]);
    if (near === null && !SOUNDS_LIKE_KEY.test(name)) return [];
    return [error(name, near ?? `${PRIMARY} or ${SECONDARY}`, near === STRINGS ? PAGE : PLAIN)];
  });
}

/** What to say when a store is opened with keys. */
export function encryptionNotices(component: string, encryption: Encryption, actors: boolean): string[] {
  const name = JSON.stringify(encryption.primary.name);
  const notices = [
    `Component ${component}: values are encrypted with the key of secret ${name}. Give it another one before 2^32 (about 4 billion) values are written with this one: more are not safe under random nonces`,
  ];
  if (actors) notices.push(`Component ${component}: the state of actors is not encrypted, as with Dapr`);
  return notices;
}

function sourceFaults(field: string, property: Property | undefined): Fault[] {
  if (property === undefined) return [];
  const { secretRef } = property;
  if (secretRef === undefined) {
    const hint = `the name of the secret stands behind each value, so neither a plain value nor an envRef will do; ${PAGE}`;
    return [error(field, "a secretKeyRef", hint)];
  }
  if (canEndValue(secretRef.name)) return [];
  return [
    error(field, 'a secret whose name has no "||" and does not begin with "|"', `it stands behind a "||"; ${PAGE}`),
  ];
}

function keyOf(hex: string | null, secretRef: SecretReference | undefined): EncryptionKey | null {
  return hex === null || secretRef === undefined ? null : { name: secretRef.name, bytes: Buffer.from(hex, "hex") };
}

function find(properties: readonly Property[], field: keyof CoreSettings): Property | undefined {
  return properties.find(({ name }) => name.toLowerCase() === field.toLowerCase());
}

function error(field: string, want: string, hint: string): Fault {
  return { severity: "error", field, got: null, want, hint };
}

function warning(field: string, want: string, hint: string): Fault {
  return { severity: "warning", field, got: null, want, hint };
}
