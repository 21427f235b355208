// What the Secret of the CA holds, and the steps of a rotation as pure functions of it. Knows no cluster and no clock.
//
// A rotation goes: `prepare` (the next CA is published beside the old one) → everybody has read it → `activate` (it
// signs) → the old one counts until it expires, and `bridges` lead to it from the new one.
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Pair, Validity } from "./issue.ts";

export interface AuthorityState {
  /** The CA that signs. */
  readonly signing: Pair;
  /** From `signing` to the CAs before it, newest first (see issueBridge); sent with each leaf. PEM. */
  readonly bridges: readonly string[];
  /** The one after it: published, not used yet. */
  readonly next: (Pair & { readonly bridge: string }) | null;
  /** CAs before it which have not expired, newest first. PEM, without keys: nothing is signed with them any more. */
  readonly former: readonly string[];
}

/** The data of the Secret, by key, decoded. */
export type SecretData = Readonly<Record<string, string>>;

export const DAY_MS = 86_400_000;
/** Of a CA. */
export const AUTHORITY_LIFETIME_MS: number = 365 * DAY_MS;
/** Clocks of others may be behind by this. */
export const BACKDATED_MS: number = 15 * 60_000;
/** Renewed when this part of its life is over. */
const RENEW_AT = 2 / 3;
/** A rotation waits while so many CAs before the one that signs still count. */
export const FORMER_MAX = 4;

const KEYS = {
  certificate: "ca.crt",
  key: "ca.key",
  bridges: "ca-bridges.crt",
  former: "ca-former.crt",
  nextCertificate: "next.crt",
  nextKey: "next.key",
  nextBridge: "next-bridge.crt",
} as const;

export async function newState(nowMs: number): Promise<AuthorityState> {
  const { issueAuthority } = await import("./issue.ts");
  return { signing: await issueAuthority(authorityValidity(nowMs)), bridges: [], next: null, former: [] };
}

/** Makes the next CA, to be published and not to be used yet. */
export async function prepare(state: AuthorityState, nowMs: number): Promise<AuthorityState> {
  const { issueAuthority, issueBridge } = await import("./issue.ts");
  const validity = authorityValidity(nowMs);
  const next = await issueAuthority(validity);
  const untilMs = Math.min(validity.untilMs, validityOf(state.signing.certificatePem).untilMs);
  const bridge = await issueBridge(next.certificatePem, state.signing, { fromMs: validity.fromMs, untilMs });
  return { ...state, next: { ...next, bridge } };
}

/** The next CA signs from now on; the key of the one before is forgotten. */
export function activate(state: AuthorityState): AuthorityState {
  if (state.next === null) return state;
  const { bridge, certificatePem, keyPem } = state.next;
  return {
    signing: { certificatePem, keyPem },
    bridges: [bridge, ...state.bridges],
    next: null,
    former: [state.signing.certificatePem, ...state.former],
  };
}

/** Without the CAs and bridges that have expired; the same object when there are none. */
export function prune(state: AuthorityState, nowMs: number): AuthorityState {
  const counts = (pem: string): boolean => validityOf(pem).untilMs > nowMs;
  const [former, bridges] = [state.former.filter(counts), state.bridges.filter(counts)];
  const isSame = former.length === state.former.length && bridges.length === state.bridges.length;
  return isSame ? state : { ...state, former, bridges };
}

/** All that count, the one that signs first. PEM. */
export function trustAnchorsOf({ signing, next, former }: AuthorityState): string {
  return [signing.certificatePem, ...(next === null ? [] : [next.certificatePem]), ...former].join("");
}

export function validityOf(certificatePem: string): Validity {
  const { validFromDate, validToDate } = new X509Certificate(certificatePem);
  return { fromMs: validFromDate.getTime(), untilMs: validToDate.getTime() };
}

/** Whether two thirds of its life are over. */
export function isToRenew(certificatePem: string, nowMs: number): boolean {
  const { fromMs, untilMs } = validityOf(certificatePem);
  return nowMs >= fromMs + (untilMs - fromMs) * RENEW_AT;
}

export function toSecretData(state: AuthorityState): SecretData {
  const { signing, bridges, next, former } = state;
  return {
    [KEYS.certificate]: signing.certificatePem,
    [KEYS.key]: signing.keyPem,
    [KEYS.bridges]: bridges.join(""),
    [KEYS.former]: former.join(""),
    ...(next === null
      ? {}
      : { [KEYS.nextCertificate]: next.certificatePem, [KEYS.nextKey]: next.keyPem, [KEYS.nextBridge]: next.bridge }),
  };
}

/** Reads what {@link toSecretData} wrote. Gives a sentence about what is wrong instead, which holds no part of a key. */
export function fromSecretData(data: SecretData): AuthorityState | string {
  const signing = readPair(data, KEYS.certificate, KEYS.key);
  if (typeof signing === "string") return signing;
  const bridges = readCertificates(data, KEYS.bridges);
  const former = readCertificates(data, KEYS.former);
  if (typeof bridges === "string") return bridges;
  if (typeof former === "string") return former;
  if (data[KEYS.nextCertificate] === undefined) return { signing, bridges, next: null, former };
  const next = readPair(data, KEYS.nextCertificate, KEYS.nextKey);
  if (typeof next === "string") return next;
  const nextBridges = readCertificates(data, KEYS.nextBridge);
  if (typeof nextBridges === "string") return nextBridges;
  const [bridge] = nextBridges;
  return bridge === undefined
    ? `${KEYS.nextBridge} is empty: want one certificate`
    : { signing, bridges, next: { ...next, bridge }, former };
}

function readPair(data: SecretData, certificateKey: string, keyKey: string): Pair | string {
  const certificates = readCertificates(data, certificateKey);
  if (typeof certificates === "string") return certificates;
  const [certificatePem] = certificates;
  if (certificatePem === undefined || certificates.length > 1) {
    return `${certificateKey} holds ${certificates.length} certificates: want one`;
  }
  const certificate = new X509Certificate(certificatePem);
  if (!certificate.ca) return `the certificate of ${certificateKey} is not that of a CA`;
  const keyPem = data[keyKey] ?? "";
  try {
    const key = createPrivateKey(keyPem);
    if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") return `the key of ${keyKey} is not of ECDSA P-256`;
    if (!certificate.checkPrivateKey(key)) return `the key of ${keyKey} does not belong to ${certificateKey}`;
  } catch {
    // What OpenSSL says about a key is not for a log.
    return `${keyKey} holds no private key in PEM`;
  }
  return { certificatePem, keyPem };
}

function readCertificates(data: SecretData, key: string): readonly string[] | string {
  const certificates = splitPem(data[key] ?? "");
  return certificates ?? `${key} holds something that is no certificate in PEM`;
}

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The certificates of a PEM text in their order, each with its line end. Null when one of them cannot be read. */
export function splitPem(text: string): readonly string[] | null {
  const blocks = (text.match(PEM_BLOCK) ?? []).map((block) => `${block}\n`);
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch {
    // Told by the null of whoever asked.
    return null;
  }
  return blocks.length === 0 && text.trim() !== "" ? null : blocks;
}

function authorityValidity(nowMs: number): Validity {
  return { fromMs: nowMs - BACKDATED_MS, untilMs: nowMs + AUTHORITY_LIFETIME_MS };
}
