// Which server has a key, and what follows when an attempt there has failed: what the store asks of any number of servers.
// Here also the answer for one master, be its address fixed or found by sentinels; for a cluster see cluster.ts.
import type { Connection } from "./connection.ts";
import type { Link } from "./link.ts";
import type { RowLink } from "./rows.ts";
import type { Sentinels } from "./sentinels.ts";
import type { StrongWrites } from "./strong.ts";

/** A master and the ways to it. */
export interface Node {
  readonly connection: Connection;
  readonly strong: StrongWrites;
  /** The key is on its way there, so that each command has to be announced. */
  readonly asking: boolean;
}

/** The masters as they are known right now. */
export interface Layout {
  /** In an order that a failover does not change. */
  readonly masters: readonly Node[];
  /** Another one when keys have moved from one master to another. Of the letters of base64url. */
  readonly spread: string;
}

export interface Topology {
  /** The masters that are known, whether they serve all keys or not. */
  readonly known: readonly Node[];
  /** The master that has a key. Throws a RedisError when there is none. */
  nodeOf(key: string): Node;
  /** Waits before another attempt and gives the node to make it on, or throws the error when there is to be none. */
  again(failed: FailedAttempt, signal: AbortSignal): Promise<Node>;
  /** The first of the keys that no script can change together with `keys[0]`; -1 when there is none. */
  strayOf(keys: readonly string[]): number;
  /** What a walk goes over, looked up anew when what is known is as old as that; without it, about a second. */
  layout(ageMaxMs?: number): Promise<Layout>;
  /** All masters that should answer now. Throws a RedisError when some key has none. */
  masters(): readonly Node[];
  close(): void;
}

export interface FailedAttempt {
  readonly key: string;
  /** Null when none was found. */
  readonly node: Node | null;
  readonly error: unknown;
  /** Attempts so far. */
  readonly made: number;
}

/** One server has all keys. */
export class OneMaster implements Topology {
  readonly #node: Node;
  readonly #layout: Layout;
  readonly #sentinels: Sentinels | null;

  constructor(node: Node, sentinels: Sentinels | null) {
    this.#node = node;
    this.#layout = { masters: [node], spread: "-" };
    this.#sentinels = sentinels;
    const { connection } = node;
    sentinels?.watch(
      () => connection.current?.server ?? null,
      () => connection.renew(),
    );
  }

  nodeOf(): Node {
    return this.#node;
  }

  async again({ error, made }: FailedAttempt, signal: AbortSignal): Promise<Node> {
    await this.#node.connection.pause(error, made, signal);
    return this.#node;
  }

  strayOf(): number {
    return -1;
  }

  async layout(): Promise<Layout> {
    return this.#layout;
  }

  get known(): readonly Node[] {
    return this.#layout.masters;
  }

  masters(): readonly Node[] {
    return this.#layout.masters;
  }

  close(): void {
    this.#sentinels?.close();
    this.#node.connection.close();
  }
}

/** The link as commands for this node have to be sent over it. */
export function announced(node: Node, link: Link): RowLink {
  if (!node.asking) return link;
  return {
    expiryCommand: link.expiryCommand,
    hasJson: link.hasJson,
    call(effect, name, args) {
      // It fails as the command behind it does, and that one tells of it.
      link.call("read", "asking", []).catch(() => undefined);
      return link.call(effect, name, args);
    },
  };
}
