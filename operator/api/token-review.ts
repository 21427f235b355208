// Whose token it is: asks the API server, and remembers its answer for a while by a hash. Knows no pod and no rights.
import { createHash } from "node:crypto";
import { TOKEN_AUDIENCE } from "#crds/distribution.ts";
import type { Clock } from "#kit/clock.ts";
import type { KubeRequest } from "../kube/client.ts";
import { Expiring } from "./expiring.ts";

/** What the API server says of a good token. */
export interface TokenOwner {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod that the token is bound to and ends with; null for a token that is bound to none. */
  readonly pod: { readonly name: string; readonly uid: string } | null;
}

/** Null: the API server does not take the token for this audience, or it is no service account's. */
export type Review = TokenOwner | null;

/** An accepted token counts for so long without asking again, in milliseconds; its pod is looked at each time. */
export const ACCEPTED_FOR_MS = 60_000;
/** A refused one, in milliseconds: a service account may be made a moment after its pod. */
export const REFUSED_FOR_MS = 10_000;
/** Most answers that are remembered, of each kind: twice the streams that a replica takes. */
export const REMEMBERED_MAX = 20_000;
/** Longest token in characters: the API server's own are about 1,200. */
export const TOKEN_LENGTH_MAX = 16_384;

const POD_NAME = "authentication.kubernetes.io/pod-name";
const POD_UID = "authentication.kubernetes.io/pod-uid";

/** The members of a TokenReview's status that are read here; the server may leave out any of them. */
interface TokenReviewed {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly audiences?: readonly string[];
    readonly user?: {
      readonly username?: string;
      readonly extra?: Readonly<Record<string, readonly string[]>>;
    };
  };
}

/** Asks the API server; rejects with a KubeError. */
export type Ask = <T>(request: KubeRequest) => Promise<T>;

export class TokenReviewer {
  readonly #ask: Ask;
  readonly #accepted: Expiring<TokenOwner>;
  readonly #refused: Expiring<true>;
  /** By hash, so that one token is asked about once at a time. */
  readonly #asked = new Map<string, Promise<Review>>();

  constructor(ask: Ask, clock: Clock) {
    this.#ask = ask;
    this.#accepted = new Expiring(clock, { forMs: ACCEPTED_FOR_MS, max: REMEMBERED_MAX });
    this.#refused = new Expiring(clock, { forMs: REFUSED_FOR_MS, max: REMEMBERED_MAX });
  }

  /** Whether the token was accepted a moment ago, so that asking costs nothing. */
  isAccepted(token: string): boolean {
    return this.#accepted.get(hashOf(token)) !== undefined;
  }

  /** Rejects with a KubeError when the API server does not answer. */
  async review(token: string): Promise<Review> {
    if (!looksLikeToken(token)) return null;
    const hash = hashOf(token);
    const known = this.#accepted.get(hash);
    if (known !== undefined) return known;
    if (this.#refused.get(hash) !== undefined) return null;
    const asked = this.#asked.get(hash) ?? this.#reviewAnew(hash, token);
    this.#asked.set(hash, asked);
    return asked;
  }

  async #reviewAnew(hash: string, token: string): Promise<Review> {
    try {
      const reviewed = await this.#ask<TokenReviewed>({
        method: "POST",
        path: "/apis/authentication.k8s.io/v1/tokenreviews",
        body: {
          apiVersion: "authentication.k8s.io/v1",
          kind: "TokenReview",
          spec: { token, audiences: [TOKEN_AUDIENCE] },
        },
      });
      const owner = ownerOf(reviewed);
      if (owner === null) this.#refused.set(hash, true);
      else this.#accepted.set(hash, owner);
      return owner;
    } finally {
      this.#asked.delete(hash);
    }
  }
}

/** Three parts between dots: anything else is not worth a question. */
function looksLikeToken(token: string): boolean {
  return token.length <= TOKEN_LENGTH_MAX && token.split(".", 4).length === 3;
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}

function ownerOf({ status }: TokenReviewed): Review {
  // An authenticator that knows no audiences accepts any token and answers without them.
  if (status?.authenticated !== true || status.audiences?.includes(TOKEN_AUDIENCE) !== true) return null;
  const parts = (status.user?.username ?? "").split(":");
  const [system, kind, namespace, serviceAccount] = parts;
  if (parts.length !== 4 || system !== "system" || kind !== "serviceaccount") return null;
  if (!namespace || !serviceAccount) return null;
  return { namespace, serviceAccount, pod: podOf(status.user?.extra ?? {}) };
}

function podOf(extra: Readonly<Record<string, readonly string[]>>): TokenOwner["pod"] {
  const [name, ...otherNames] = extra[POD_NAME] ?? [];
  const [uid, ...otherUids] = extra[POD_UID] ?? [];
  if (!name || !uid || otherNames.length > 0 || otherUids.length > 0) return null;
  return { name, uid };
}
