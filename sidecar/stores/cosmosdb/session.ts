// The session of one sidecar with one container: tokens that make its reads see its own writes. Each partition of the
// server has a token, "0:-1#123" or "0:1#123#4=56"; which partition a document lies in only the server knows.

/** Partitions of which a token is kept, so that the header stays within some kilobytes. */
const PARTITIONS_MAX = 200;

interface Token {
  readonly text: string;
  /** Counts the changes of where the partition lies. */
  readonly version: number;
  /** Counts the partition's writes. */
  readonly writes: number;
}

export class SessionTokens {
  readonly #byPartition = new Map<string, Token>();

  /** Takes the header `x-ms-session-token` of an answer; answers may come in any order, so the newer token stays. */
  learn(header: string | undefined): void {
    for (const part of header?.split(",") ?? []) {
      const colon = part.indexOf(":");
      if (colon < 1) continue;
      const partition = part.slice(0, colon);
      const token = toToken(part.slice(colon + 1));
      const known = this.#byPartition.get(partition);
      if (token === null || (known !== undefined && !isNewer(token, known))) continue;
      this.#byPartition.delete(partition);
      this.#byPartition.set(partition, token);
      const [oldest] = this.#byPartition.keys();
      if (this.#byPartition.size > PARTITIONS_MAX && oldest !== undefined) this.#byPartition.delete(oldest);
    }
  }

  /** The header for a read; null where there is nothing to say yet. */
  header(): string | null {
    if (this.#byPartition.size === 0) return null;
    return [...this.#byPartition].map(([partition, { text }]) => `${partition}:${text}`).join(",");
  }

  /** After a failover that lost writes no replica ever catches up: without this every read would fail for good. */
  forget(): void {
    this.#byPartition.clear();
  }
}

/** Null for what is no token. The oldest form is the number of writes alone. */
function toToken(text: string): Token | null {
  const [first = "", second] = text.split("#");
  const version = second === undefined ? 0 : Number(first);
  const writes = Number(second ?? first);
  const isToken = text !== "" && Number.isFinite(version) && Number.isFinite(writes);
  return isToken ? { text, version, writes } : null;
}

function isNewer(token: Token, known: Token): boolean {
  return token.version === known.version ? token.writes > known.writes : token.version > known.version;
}
