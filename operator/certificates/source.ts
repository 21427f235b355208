// What the operator's servers need of a certificate: the newest one, and word when it changes. Knows not where it is from.
import type { Server } from "node:https";
import type { SecureVersion } from "node:tls";

/** A private key and the certificate chain for it, leaf first. */
export interface Served {
  readonly keyPem: string;
  readonly certificatePem: string;
  /** When the leaf ends, milliseconds since 1970. */
  readonly expiresAtMs: number;
}

export interface CertificateSource {
  readonly current: Served;
  /** PEM: every CA that counts, also the ones before and after; the one that signs today comes first. */
  readonly trustAnchors: string;
  /** Told when `current` or `trustAnchors` is another than before. Gives its end. */
  onChange(listener: () => void): () => void;
  close(): Promise<void>;
}

/** For the API server, which may be of older make. */
const TLS_VERSION_MIN = "TLSv1.2";

/** Told one after the other; knows nothing of what it tells. */
export class Listeners {
  readonly #listeners = new Set<() => void>();

  /** Gives its end. */
  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/**
 * Gives the server the newest certificate now and after each change. Connections that are open keep theirs and are not
 * dropped; each new one gets the new one. `minVersion` has to come along each time: a new certificate forgets
 * the one that the server was made with. Gives the end of it.
 */
export function followCertificate(
  server: Server,
  source: CertificateSource,
  minVersion: SecureVersion = TLS_VERSION_MIN,
): () => void {
  const set = (): void => {
    const { keyPem, certificatePem } = source.current;
    server.setSecureContext({ key: keyPem, cert: certificatePem, minVersion });
  };
  set();
  return source.onChange(set);
}
