// Certificates that somebody else makes: a mounted Secret with tls.crt, tls.key and ca.crt, followed as it changes.
// What cannot be used is not taken: the last good pair goes on.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { splitPem, validityOf } from "./authority-state.ts";
import { Rounds } from "./rounds.ts";
import { type CertificateSource, Listeners, type Served } from "./source.ts";

/** How often the folder is read, in milliseconds: a kubelet takes a minute to change it. */
export const READ_MS = 5_000;
/** A pair under a new CA is served once the webhook's caBundle has that CA, at the latest after so long. */
export const PUBLISH_WAIT_MS = 60_000;
/** CAs of before that go on counting until they expire. */
const FORMER_MAX = 8;
/** Longest file, in characters: no chain of certificates comes near it. */
const FILE_LENGTH_MAX = 256 * 1024;

const FILES = { certificate: "tls.crt", key: "tls.key", authority: "ca.crt" } as const;

export interface FilesOptions {
  readonly folder: string;
  /** DNS names that the certificate has to be good for. */
  readonly names: readonly string[];
  /** Whether the API server has this bundle as the webhook's caBundle; true where it is not ours to write. */
  readonly isPublished: (trustAnchors: string) => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** One usable content of the folder. */
interface Content extends Served {
  readonly authorities: readonly string[];
}

/** Rejects with a sentence when the folder holds no usable pair. */
export async function openFiles(options: FilesOptions): Promise<CertificateSource & { look(): Promise<void> }> {
  return new Files(options, await readContent(options));
}

class Files implements CertificateSource {
  readonly #options: FilesOptions;
  readonly #listeners = new Listeners();
  readonly #rounds: Rounds;
  #served: Content;
  /** Read, and not served before its CA is published or this time of the monotonic clock has come. */
  #waiting: { readonly content: Content; readonly untilMs: number } | null = null;
  #former: readonly string[] = [];
  #trustAnchors: string;
  #lastFailure = "";

  constructor(options: FilesOptions, content: Content) {
    this.#options = options;
    this.#served = content;
    this.#trustAnchors = content.authorities.join("");
    this.#rounds = new Rounds({
      clock: options.clock,
      everyMs: READ_MS,
      retryMs: READ_MS,
      round: () => this.#look(),
      failed: (error) => this.#failed(error),
    });
  }

  get current(): Served {
    return this.#served;
  }

  get trustAnchors(): string {
    return this.#trustAnchors;
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  look(): Promise<void> {
    return this.#rounds.ask();
  }

  close(): Promise<void> {
    return this.#rounds.close();
  }

  async #look(): Promise<void> {
    try {
      this.#take(await readContent(this.#options));
      this.#lastFailure = "";
    } finally {
      this.#serveWaiting();
    }
  }

  #take(content: Content): void {
    const newest = this.#waiting?.content ?? this.#served;
    if (isSame(content, newest)) return;
    const { clock, log } = this.#options;
    const before = [...newest.authorities, ...this.#former];
    const stillCounts = (pem: string): boolean =>
      !content.authorities.includes(pem) && validityOf(pem).untilMs > clock.nowMs();
    this.#former = [...new Set(before)].filter(stillCounts).slice(0, FORMER_MAX);
    this.#waiting = { content, untilMs: clock.monotonicMs() + PUBLISH_WAIT_MS };
    this.#trustAnchors = [...content.authorities, ...this.#former].join("");
    log.info("certificates: the mounted ones have changed", { folder: this.#options.folder });
    // The bundle's writers hear of the CA first; the pair follows.
    this.#listeners.tell();
  }

  #serveWaiting(): void {
    if (this.#waiting === null) return;
    const { clock, isPublished } = this.#options;
    const { content, untilMs } = this.#waiting;
    const isKnown = content.authorities.join("") === this.#served.authorities.join("");
    if (!isKnown && !isPublished(this.#trustAnchors) && clock.monotonicMs() < untilMs) return;
    this.#served = content;
    this.#waiting = null;
    this.#listeners.tell();
  }

  /** Told once for each kind of failure in a row. */
  #failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (message === this.#lastFailure) return;
    this.#lastFailure = message;
    this.#options.log.warn("certificates: the mounted ones cannot be used, the last good ones stay", {
      error: message,
    });
  }
}

/** Rejects with what is wrong; nothing of the key is in it. */
async function readContent({ folder, names, clock }: FilesOptions): Promise<Content> {
  const [certificatePem, keyPem, authority] = [
    await readText(folder, FILES.certificate),
    await readText(folder, FILES.key),
    await readText(folder, FILES.authority),
  ];
  const wrong = (file: string, what: string): Error => new Error(`${join(folder, file)}: ${what}`);
  const [leafPem] = splitPem(certificatePem) ?? [];
  if (leafPem === undefined) throw wrong(FILES.certificate, "want certificates in PEM, the server's own first");
  const authorities = splitPem(authority) ?? [];
  if (authorities.length === 0) throw wrong(FILES.authority, "want the CA's certificate in PEM");
  const leaf = new X509Certificate(leafPem);
  if (!isKeyOf(leaf, keyPem))
    throw wrong(FILES.key, `want the private key of ${FILES.certificate} in PEM, without a password`);
  const missing = names.find((name) => leaf.checkHost(name) === undefined);
  if (missing !== undefined) throw wrong(FILES.certificate, `is not for ${missing}: add it to the DNS names`);
  const expiresAtMs = validityOf(leafPem).untilMs;
  if (expiresAtMs <= clock.nowMs())
    throw wrong(FILES.certificate, `has expired at ${new Date(expiresAtMs).toISOString()}`);
  return { certificatePem, keyPem, expiresAtMs, authorities };
}

async function readText(folder: string, file: string): Promise<string> {
  const text = await readFile(join(folder, file), "utf8");
  if (text.length > FILE_LENGTH_MAX)
    throw new Error(`${join(folder, file)}: want at most ${FILE_LENGTH_MAX} characters`);
  return text;
}

function isKeyOf(leaf: X509Certificate, keyPem: string): boolean {
  try {
    return leaf.checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    // No key at all: told by the same sentence as a key of another certificate.
    return false;
  }
}

function isSame(left: Content, right: Content): boolean {
  return (
    left.certificatePem === right.certificatePem &&
    left.keyPem === right.keyPem &&
    left.authorities.join("") === right.authorities.join("")
  );
}
