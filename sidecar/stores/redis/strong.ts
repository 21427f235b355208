// Strong writes: a write and the WAIT for its replicas on a connection of their own, because WAIT holds up everything
// behind it. Knows how to count replicas and acknowledgements; which script runs is the caller's business.
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Connection } from "./connection.ts";
import { RedisError } from "./errors.ts";
import type { Link } from "./link.ts";

/** How long replicas may take to acknowledge (dapr-state-stores.md 2c). */
export const WAIT_MS = 1_000;
/** How long "no replica is connected" is believed without another look. SDKs ask for strong writes without knowing of replicas. */
export const NO_REPLICAS_MS = 1_000;
/** An answer to WAIT may come this much later than its own limit. */
const WAIT_MARGIN_MS = 500;
const LINKS_MAX = 8;
const QUEUE_MAX = 1_000;
const QUEUE_WAIT_MS = 1_000;

export interface StrongOptions {
  readonly connection: Connection;
  /** Null: as many as are connected at that moment. */
  readonly acks: number | null;
  readonly readMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a strong write does on the link: gives its answer, and whether it has changed anything. */
export type StrongTask = (link: Link) => Promise<{ readonly answer: unknown; readonly applied: boolean }>;

export class StrongWrites {
  readonly #options: StrongOptions;
  readonly #idle: Link[] = [];
  readonly #queue: Array<() => void> = [];
  readonly #readMs: number;
  /** The links on which WAIT is known to be allowed. */
  readonly #mayWait = new WeakSet<Link>();
  #taken = 0;
  /** Null while replicas are connected or nobody has looked yet. */
  #noReplicasUntilMs: number | null = null;
  #warned = false;

  constructor(options: StrongOptions) {
    this.#options = options;
    this.#readMs = Math.max(options.readMs, WAIT_MS + WAIT_MARGIN_MS);
  }

  /**
   * False when no replica has to acknowledge: then the write may go over the shared connection. When the belief in "no
   * replicas" runs out, one caller gets true and looks; the others go on believing until it knows.
   */
  applies(): boolean {
    const { acks, clock } = this.#options;
    if (acks !== null) return acks > 0;
    if (this.#noReplicasUntilMs === null) return true;
    const nowMs = clock.monotonicMs();
    if (nowMs < this.#noReplicasUntilMs) return false;
    this.#noReplicasUntilMs = nowMs + NO_REPLICAS_MS;
    return true;
  }

  /** Runs the task and waits for the replicas. Rejects with unknown-outcome when it applied and too few have it. */
  async run(task: StrongTask): Promise<unknown> {
    await this.#turn();
    try {
      const link = this.#idleLink() ?? (await this.#options.connection.extra(this.#readMs));
      try {
        return await this.#writeAndWait(link, task);
      } finally {
        if (link.usable) this.#idle.push(link);
      }
    } finally {
      this.#taken--;
      this.#queue.shift()?.();
    }
  }

  /** One to the server of the shared connection: after a failover the others lead to what was the master before. */
  #idleLink(): Link | null {
    const server = this.#options.connection.current?.server;
    for (let link = this.#idle.pop(); link !== undefined; link = this.#idle.pop()) {
      if (link.usable && link.server === server) return link;
      link.close("closed");
    }
    return null;
  }

  async #writeAndWait(link: Link, task: StrongTask): Promise<unknown> {
    const wanted = await this.#wanted(link);
    const { answer, applied } = await runOn(link, task);
    if (!applied || wanted === 0) return answer;
    const acknowledged = await this.#wait(link, wanted);
    if (acknowledged < wanted) {
      const text = `only ${acknowledged} of ${wanted} replicas acknowledged within ${WAIT_MS} ms`;
      throw maybeLost(link, text);
    }
    return answer;
  }

  /**
   * How many replicas must acknowledge, looked up before anything is written. A number in strongAcks without the right to
   * WAIT is refused here. "connected" without the right to INFO or WAIT counts as no replica: nobody asked for more, and
   * SDKs send strong with every write.
   */
  async #wanted(link: Link): Promise<number> {
    const { acks } = this.#options;
    try {
      const wanted = acks ?? (await this.#countReplicas(link));
      if (wanted > 0) await this.#checkWait(link);
      return wanted;
    } catch (error) {
      if (acks !== null || !isForbidden(error)) throw error;
      this.#goWithout(error);
      return 0;
    }
  }

  /** Rejects when this ACL user may not WAIT. Asks once per link: for no replica, which is answered at once. */
  async #checkWait(link: Link): Promise<void> {
    if (this.#mayWait.has(link)) return;
    try {
      await link.call("read", "wait", ["0", "0"]);
      this.#mayWait.add(link);
    } catch (error) {
      // Whatever else the server says, the write will say better: a replica, for one, knows no WAIT.
      if (isForbidden(error) || !(error instanceof RedisError) || error.reply === null) throw error;
    }
  }

  #goWithout(error: RedisError): void {
    const { clock, log } = this.#options;
    this.#noReplicasUntilMs = clock.monotonicMs() + NO_REPLICAS_MS;
    if (this.#warned) return;
    this.#warned = true;
    log.warn("redis: strong writes do not wait for replicas, for want of a right", { error: error.message });
  }

  async #wait(link: Link, wanted: number): Promise<number> {
    try {
      return Number(await link.call("write", "wait", [String(wanted), String(WAIT_MS)]));
    } catch (error) {
      if (isForbidden(error)) this.#mayWait.delete(link);
      throw maybeLost(link, `no word from its replicas (${error instanceof Error ? error.message : error})`);
    }
  }

  async #countReplicas(link: Link): Promise<number> {
    const info = String(await link.call("read", "info", ["replication"]));
    // One line per replica; one that is still being copied to has another state and cannot acknowledge.
    const online = info.split("\n").filter((line) => line.startsWith("slave") && line.includes("state=online")).length;
    const { clock } = this.#options;
    this.#noReplicasUntilMs = online === 0 ? clock.monotonicMs() + NO_REPLICAS_MS : null;
    return online;
  }

  /** Resolves when one of the connections is free for the caller. */
  #turn(): Promise<void> {
    if (this.#taken < LINKS_MAX) {
      this.#taken++;
      return Promise.resolve();
    }
    if (this.#queue.length >= QUEUE_MAX) return Promise.reject(overrun("too many wait"));
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        timer.cancel();
        this.#taken++;
        resolve();
      };
      const timer = this.#options.clock.after(QUEUE_WAIT_MS, () => {
        this.#queue.splice(this.#queue.indexOf(enter), 1);
        reject(overrun(`none came free within ${QUEUE_WAIT_MS} ms`));
      });
      this.#queue.push(enter);
    });
  }
}

/** A link on which the server turned out to be a replica is not used again. */
async function runOn(link: Link, task: StrongTask): ReturnType<StrongTask> {
  try {
    return await task(link);
  } catch (error) {
    if (error instanceof RedisError && error.reply === "READONLY") link.close("closed");
    throw error;
  }
}

function isForbidden(error: unknown): error is RedisError {
  return error instanceof RedisError && error.reply === "NOPERM";
}

function maybeLost(link: Link, what: string): RedisError {
  const text = `the write was applied on redis at ${link.server}, but ${what}: it may be lost if that server fails`;
  return new RedisError("unknown-outcome", text);
}

function overrun(what: string): RedisError {
  return new RedisError("unavailable", `all ${LINKS_MAX} connections for strong writes are in use: ${what}`);
}
