// A cluster: which master serves which hash slot, kept up to date by what nodes answer. A connection to each master; one
// that is no master any more answers what it was asked and ends (dapr-state-stores.md 2c). Knows no command on keys.
import { type Address, formatAddress, toldAddress } from "./address.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { type Redirect, RedisError } from "./errors.ts";
import { Link, type LinkOptions } from "./link.ts";
import { readSlotMap, SLOTS, type SlotMap, slotOf, spreadOf } from "./slots.ts";
import type { FailedAttempt, Layout, Node, Topology } from "./topology.ts";

export interface ClusterOptions {
  /** Nodes that `redisHost` names: one that answers is enough to find the others. */
  readonly seeds: readonly Address[];
  readonly link: Omit<LinkOptions, "address">;
  /** What each connection has besides its address. */
  readonly connection: Omit<ConnectionOptions, "link" | "find" | "server" | "onTrouble">;
  /** Makes a node of a connection. */
  readonly node: (connection: Connection) => Node;
}

/** How often one request may be sent on from node to node. */
const REDIRECTS_MAX = 5;
/** The slots are not asked for more often than this, whatever fails. */
const ASK_PAUSE_MS = 100;
/** A walk asks when what is known is older than this. */
const LAYOUT_AGE_MS = 1_000;
/** Nodes that are asked for the slots at once. */
const ASKED_MAX = 8;

export class Cluster implements Topology {
  readonly #options: ClusterOptions;
  readonly #leaving = new AbortController();
  /** By address. */
  readonly #nodes = new Map<string, Node>();
  #slots: (Node | undefined)[] = [];
  #layout: Layout = { masters: [], spread: "" };
  #asking: Promise<void> | null = null;
  #askedMs = Number.NEGATIVE_INFINITY;
  #isSilent = false;
  readonly #onTrouble = (): void => this.#askSoon();

  private constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** Finds the masters and connects to them; one at least must answer. Rejects with a RedisError and leaves nothing open. */
  static async open(options: ClusterOptions, signal: AbortSignal): Promise<Cluster> {
    const cluster = new Cluster(options);
    try {
      const map = await cluster.#askAnew(options.seeds, signal);
      await cluster.#connect(map, signal);
      cluster.#apply(map);
      return cluster;
    } catch (error) {
      cluster.close();
      throw error;
    }
  }

  nodeOf(key: string): Node {
    const slot = slotOf(key);
    const node = this.#slots[slot];
    if (node === undefined)
      throw new RedisError(
        "unavailable",
        `no node of the redis cluster serves hash slot ${slot}, to which the key belongs`,
      );
    return node;
  }

  async again({ key, node, error, made }: FailedAttempt, signal: AbortSignal): Promise<Node> {
    if (!(error instanceof RedisError) || this.#leaving.signal.aborted) throw error;
    if (error.redirect !== null && node !== null) return this.#redirected(error.redirect, node, made);
    if (error.code === "unavailable") this.#askSoon();
    if (node === null) throw error;
    if (error.repeatable && made <= REDIRECTS_MAX && !node.asking && this.#slots[slotOf(key)] !== node)
      return this.nodeOf(key);
    await node.connection.pause(error, made, signal);
    return this.nodeOf(key);
  }

  strayOf(keys: readonly string[]): number {
    const slot = slotOf(keys[0] ?? "");
    return keys.findIndex((key) => slotOf(key) !== slot);
  }

  async layout(ageMaxMs: number = LAYOUT_AGE_MS): Promise<Layout> {
    if (this.#options.link.clock.monotonicMs() - this.#askedMs >= ageMaxMs) await this.#askAll();
    return this.#layout;
  }

  get known(): readonly Node[] {
    return this.#layout.masters;
  }

  masters(): readonly Node[] {
    const hole = this.#slots.indexOf(undefined);
    if (hole < 0) return this.#layout.masters;
    this.#askSoon();
    throw new RedisError("unavailable", `no node of the redis cluster serves hash slot ${hole}`);
  }

  close(): void {
    this.#leaving.abort();
    for (const { connection } of this.#nodes.values()) connection.close();
  }

  #redirected({ slot, address, asking }: Redirect, from: Node, made: number): Node {
    const told = toldAddress(address, from.connection.address);
    if (told === null || made > REDIRECTS_MAX) {
      const text = `the nodes of the redis cluster send requests for hash slot ${slot} on to each other`;
      throw new RedisError("unavailable", text);
    }
    const node = this.#nodeAt(told);
    if (asking) return { ...node, asking: true };
    this.#slots[slot] = node;
    this.#askSoon();
    return node;
  }

  /** Opens what a map names, before anybody uses it. */
  async #connect({ masters }: SlotMap, signal: AbortSignal): Promise<void> {
    const opened = masters.map(({ address }) => Connection.open(this.#connectionOptions(address), signal));
    const outcomes = await Promise.allSettled(opened);
    for (const outcome of outcomes) if (outcome.status === "fulfilled") this.#add(outcome.value);
    const [first] = outcomes;
    if (this.#nodes.size === 0 && first?.status === "rejected") throw first.reason;
    signal.throwIfAborted();
  }

  #nodeAt(address: Address): Node {
    const known = this.#nodes.get(formatAddress(address));
    return known ?? this.#add(Connection.start(this.#connectionOptions(address)));
  }

  #add(connection: Connection): Node {
    const node = this.#options.node(connection);
    this.#nodes.set(formatAddress(connection.address), node);
    return node;
  }

  #connectionOptions(address: Address): ConnectionOptions {
    const { connection, link } = this.#options;
    return {
      ...connection,
      link: { ...link, address },
      find: null,
      server: formatAddress(address),
      onTrouble: this.#onTrouble,
    };
  }

  #apply({ masters, spread }: SlotMap): void {
    const slots: (Node | undefined)[] = new Array(SLOTS).fill(undefined);
    const nodes = masters.map(({ address, ranges }) => {
      const node = this.#nodeAt(address);
      for (const { first, last } of ranges) slots.fill(node, first, last + 1);
      return node;
    });
    this.#slots = slots;
    this.#layout = { masters: nodes, spread };
    for (const [server, node] of this.#nodes) {
      if (nodes.includes(node)) continue;
      this.#nodes.delete(server);
      node.connection.retire();
    }
  }

  /** Asks for the slots unless that was done just now. What fails is met again by whoever needs the answer. */
  #askSoon(): void {
    const { clock, log } = this.#options.link;
    if (this.#leaving.signal.aborted || clock.monotonicMs() - this.#askedMs < ASK_PAUSE_MS) return;
    this.#ask().catch((error: unknown) => {
      if (!this.#isSilent && !this.#leaving.signal.aborted)
        log.warn("redis cluster does not tell its hash slots", { error: String(error) });
      this.#isSilent = true;
    });
  }

  /**
   * Nodes hear of a slot that has moved one after the other, so the first answer may be out of date. Only when all masters
   * tell the same are the keys known to be where a walk looks for them; as long as they do not, that is a spread of its own.
   */
  async #askAll(): Promise<void> {
    const links = [...this.#nodes.values()].flatMap(({ connection }) => connection.current ?? []);
    const answers = await Promise.allSettled(links.map(slotMapOf));
    const maps = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    const [first] = maps;
    if (first === undefined) return this.#ask();
    if (this.#leaving.signal.aborted) return;
    this.#askedMs = this.#options.link.clock.monotonicMs();
    this.#apply({ masters: first.masters, spread: spreadOf(maps) });
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#askAndApply().finally(() => {
      this.#asking = null;
      this.#askedMs = this.#options.link.clock.monotonicMs();
    });
    return this.#asking;
  }

  async #askAndApply(): Promise<void> {
    const links = [...this.#nodes.values()].flatMap(({ connection }) => connection.current ?? []).slice(0, ASKED_MAX);
    const map = await firstOf(links.map(slotMapOf)).catch(() => this.#askElsewhere());
    if (this.#leaving.signal.aborted) return;
    this.#isSilent = false;
    this.#apply(map);
  }

  /** When no connection gives an answer: new ones, to the masters that are known and to those of `redisHost`. */
  #askElsewhere(): Promise<SlotMap> {
    const known = [...this.#nodes.values()].map(({ connection }) => connection.address);
    return this.#askAnew([...this.#options.seeds, ...known], this.#leaving.signal);
  }

  /** The first answer over connections that are made for it, and closed again. */
  async #askAnew(addresses: readonly Address[], signal: AbortSignal): Promise<SlotMap> {
    const race = new AbortController();
    const stop = AbortSignal.any([signal, race.signal]);
    try {
      return await firstOf(
        addresses.map(async (address) => {
          const link = await Link.open({ ...this.#options.link, address }, stop);
          return slotMapOf(link).finally(() => link.close("closed"));
        }),
      );
    } finally {
      race.abort();
    }
  }
}

async function slotMapOf(link: Link): Promise<SlotMap> {
  return readSlotMap(await link.call("read", "cluster", ["SLOTS"]), link.address);
}

/** The first answer; when all fail, why the first did. */
async function firstOf<T>(attempts: readonly Promise<T>[]): Promise<T> {
  try {
    return await Promise.any(attempts);
  } catch (error) {
    throw error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
  }
}
