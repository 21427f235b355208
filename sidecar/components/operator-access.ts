// One request to the operator: over TLS with the trust anchors and the token as they are on the disk now, since the
// kubelet puts new ones in their place. Knows nothing of what is asked.
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { type RequestOptions, request } from "node:https";
import { join } from "node:path";
import { TOKEN_FILE, TRUST_ANCHORS_FILE } from "#crds/distribution.ts";
import type { Clock } from "#kit/clock.ts";
import { readCertificate } from "#kit/pem.ts";
import type { OperatorSettings } from "../settings.ts";
import { DeadlineExceeded, within } from "./deadline.ts";

/** An answer has begun by then, or the operator counts as unreachable, in milliseconds. */
const ANSWER_TIMEOUT_MS = 10_000;

/** RFC 9110 15.5.20. */
const MISDIRECTED = 421;

/** Why the operator cannot be asked, as the end of a sentence; never with a part of the token. */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
  /** Another replica of the operator is to be asked (421): a new connection may lead there. */
  readonly isMisdirected: boolean;

  constructor(message: string, { isMisdirected = false }: { readonly isMisdirected?: boolean } = {}) {
    super(message);
    this.isMisdirected = isMisdirected;
  }
}

export interface OperatorRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** JSON; null for none. */
  readonly body: string | null;
}

export class OperatorAccess {
  readonly #settings: OperatorSettings;
  readonly #clock: Clock;

  constructor(settings: OperatorSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /**
   * Gives the answer once it has begun, when its status is a good one; whoever asks reads or destroys it. Rejects with an
   * {@link OperatorError}, or with the reason of `signal`.
   */
  async send(asked: OperatorRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { host, port } = this.#settings;
    const [token, ca] = await Promise.all([this.#token(), this.#trustAnchors()]);
    const options: RequestOptions = {
      host,
      port,
      method: asked.method,
      path: asked.path,
      ca,
      // Whatever the environment says: this connection brings passwords.
      rejectUnauthorized: true,
      minVersion: "TLSv1.2",
      agent: false,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(asked.body === null ? {} : { "Content-Type": "application/json" }),
      },
    };
    const deadline = {
      clock: this.#clock,
      ms: ANSWER_TIMEOUT_MS,
      signal,
      discard: (late: IncomingMessage) => void late.destroy(),
    };
    const answer = await within(deadline, (inner) => exchange({ ...options, signal: inner }, asked.body)).catch(
      (error: unknown) => {
        throw signal.aborted ? signal.reason : new OperatorError(whyNot(error));
      },
    );
    const { statusCode = 0 } = answer;
    if (statusCode >= 200 && statusCode < 300) return answer;
    answer.destroy();
    throw new OperatorError(
      statusCode === 401 || statusCode === 403
        ? `it refuses this pod's token (${statusCode})`
        : `it answers ${asked.method} ${asked.path} with the status ${statusCode}`,
      { isMisdirected: statusCode === MISDIRECTED },
    );
  }

  async #token(): Promise<string> {
    const path = join(this.#settings.identityFolder, TOKEN_FILE);
    const token = (await readIdentity(path))?.trim() ?? "";
    if (token === "") throw new OperatorError(`there is no token in ${path}`);
    if (!/^[\x21-\x7e]+$/.test(token)) throw new OperatorError(`what stands in ${path} is no token`);
    return token;
  }

  /** Those of the file and of DAPR_TRUST_ANCHORS together; those that the system trusts do not count. */
  async #trustAnchors(): Promise<string[]> {
    const path = join(this.#settings.identityFolder, TRUST_ANCHORS_FILE);
    const texts = [(await readIdentity(path)) ?? "", this.#settings.trustAnchors];
    const anchors = [...new Set(texts.flatMap(certificatesIn))];
    if (anchors.length === 0)
      throw new OperatorError(`nobody says what certificates to trust: want some in ${path} or in DAPR_TRUST_ANCHORS`);
    return anchors;
  }
}

/** Null when there is no such file. */
async function readIdentity(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return null;
    throw new OperatorError(`${path} cannot be read (${code})`);
  }
}

/** One that cannot be read is left out: the others would be refused along with it. */
function certificatesIn(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.filter((block) => readCertificate(block) !== null);
}

function exchange(options: RequestOptions, body: string | null): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, resolve);
    // After the answer has begun, its own stream tells what goes wrong.
    outgoing.on("error", reject);
    outgoing.end(body ?? undefined);
  });
}

const UNTRUSTED = /^(ERR_TLS_CERT|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/;

function whyNot(error: unknown): string {
  if (error instanceof DeadlineExceeded) return `it has not answered within ${ANSWER_TIMEOUT_MS}ms`;
  const code = codeOf(error);
  if (UNTRUSTED.test(code)) return `its certificate is not trusted (${code})`;
  return /SSL|TLS|EPROTO/.test(code) ? `TLS with it fails (${code})` : `it cannot be reached (${code})`;
}

/** The system's word for it. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
