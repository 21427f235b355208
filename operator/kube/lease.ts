// One leader at a time, by a Lease of Kubernetes and the rules of client-go's leader election. It fences nothing: what a
// leader writes must be harmless when an older leader writes it too.
import { sleep, type Timer } from "#kit/clock.ts";
import { KubeError } from "./client.ts";
import type { KubeContext } from "./context.ts";
import {
  ADDRESS_ANNOTATION,
  emptyLease,
  LEASE_API,
  type Lease,
  type LeaseHolder,
  releasedLease,
  takenLease,
} from "./lease-object.ts";
import { pathOf } from "./paths.ts";

/** A Lease that was not renewed for so long is free, in seconds. */
export const LEASE_SEC = 15;
/** A leader that could not renew for so long leads no more, in milliseconds: well before another may take over. */
export const RENEW_DEADLINE_MS = 10_000;
/** From one attempt to the next, in milliseconds; a candidate waits up to RETRY_JITTER times that longer. */
export const RETRY_MS = 2_000;
const RETRY_JITTER = 1.2;
/** Time for one request, in milliseconds: an attempt is two of them, and must fit into the deadline. */
const REQUEST_MS = 4_000;

export interface LeaseElectorOptions {
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Who we are: another for each process, also for two that follow each other in one pod. */
  readonly identity: string;
  /** Where other replicas reach us while we lead, "host:port". */
  readonly address: string;
}

/** What the Lease last said, and when we first saw it say so: clocks of other machines play no part. */
interface Observed {
  readonly lease: Lease;
  readonly atMs: number;
}

export class LeaseElector {
  readonly #context: KubeContext;
  readonly #options: LeaseElectorOptions;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<() => void>();
  #observed: Observed | null = null;
  /** When the last good renewal was begun; null while we do not lead. */
  #renewedAtMs: number | null = null;
  #deadline: Timer | null = null;
  #told: { readonly leads: boolean; readonly holder: LeaseHolder | null } = { leads: false, holder: null };
  #running: Promise<void> = Promise.resolve();

  constructor(context: KubeContext, options: LeaseElectorOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** By our own clock, at the moment of asking: true only as long as no other replica can have taken over. */
  get isLeader(): boolean {
    return this.#renewedAtMs !== null && this.#nowMs() - this.#renewedAtMs < RENEW_DEADLINE_MS;
  }

  /** Who leads as far as we know, perhaps we; null when nobody does. */
  holder(): LeaseHolder | null {
    const { identity: ours } = this.#options;
    if (this.#observed === null || this.#isFree(this.#observed)) return null;
    const { spec, metadata } = this.#observed.lease;
    const identity = spec.holderIdentity ?? "";
    if (identity === ours && !this.isLeader) return null;
    return { identity, address: metadata.annotations?.[ADDRESS_ANNOTATION] ?? "" };
  }

  /** Told when we begin or cease to lead and when the {@link holder} is another, after it is so. Gives its end. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins to stand for election; called once. */
  start(): void {
    this.#running = this.#run();
  }

  /** Leads no more, and says so in the Lease, so that another replica need not wait for its end. May be called again. */
  async close(): Promise<void> {
    const first = !this.#closing.signal.aborted;
    this.#closing.abort();
    await this.#running;
    if (!first) return;
    this.#lead(null);
    try {
      await this.#release();
    } catch (error) {
      // It ends by itself after LEASE_SEC.
      this.#context.log.warn("the lease was not given back", { error: String(error) });
    }
  }

  async #run(): Promise<void> {
    const { clock, random, log } = this.#context;
    while (!this.#closing.signal.aborted) {
      const begunAtMs = this.#nowMs();
      try {
        const won = await this.#attempt();
        if (this.#closing.signal.aborted) return;
        this.#lead(won ? begunAtMs : null);
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        // A leader leads on until the deadline: nobody else can have the Lease before. A conflict: another was faster.
        const told = { leads: this.isLeader, error: String(error) };
        if (error instanceof KubeError && error.status === 409) log.debug("another has written the lease", told);
        else log.warn("the lease could not be read or renewed", told);
        this.#tell();
      }
      const waitMs = this.isLeader ? RETRY_MS : RETRY_MS * (1 + RETRY_JITTER * random.fraction());
      await sleep(clock, waitMs, this.#closing.signal);
    }
  }

  /** Takes or renews the Lease. False when another has it. Rejects with a KubeError when that cannot be found out. */
  async #attempt(): Promise<boolean> {
    const { namespace, name, identity } = this.#options;
    const { signal } = this.#closing;
    const lease = await this.#read(signal);
    if (lease === null) {
      this.#observe(await this.#write("POST", this.#taken(emptyLease(namespace, name)), signal));
      return true;
    }
    const observed = this.#observe(lease);
    if (lease.spec.holderIdentity !== identity && !this.#isFree(observed)) return false;
    // The resourceVersion goes along: when another was faster, this is a Conflict.
    this.#observe(await this.#write("PUT", this.#taken(lease), signal));
    return true;
  }

  #taken(lease: Lease): Lease {
    const { identity, address } = this.#options;
    return takenLease(lease, { identity, address, durationSec: LEASE_SEC, nowMs: this.#context.clock.nowMs() });
  }

  async #release(): Promise<void> {
    const lease = await this.#read();
    if (lease?.spec.holderIdentity !== this.#options.identity) return;
    await this.#write("PUT", releasedLease(lease, this.#context.clock.nowMs()));
  }

  /** Null when there is none. */
  async #read(signal?: AbortSignal): Promise<Lease | null> {
    const { namespace, name } = this.#options;
    const path = pathOf({ apiVersion: LEASE_API, plural: "leases", namespace, name });
    try {
      const limits = { timeoutMs: REQUEST_MS, ...(signal === undefined ? {} : { signal }) };
      const { spec = {}, ...lease } = await this.#context.client.request<Partial<Lease> & Lease>({
        method: "GET",
        path,
        ...limits,
      });
      return { ...lease, spec };
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return null;
      throw error;
    }
  }

  #write(method: "POST" | "PUT", lease: Lease, signal?: AbortSignal): Promise<Lease> {
    const { namespace, name } = this.#options;
    const path = pathOf({ apiVersion: LEASE_API, plural: "leases", namespace, ...(method === "PUT" ? { name } : {}) });
    const limits = { timeoutMs: REQUEST_MS, ...(signal === undefined ? {} : { signal }) };
    return this.#context.client.request<Lease>({ method, path, body: lease, ...limits });
  }

  /** Its time runs from when it first said what it says now. */
  #observe(lease: Lease): Observed {
    const isSame = JSON.stringify(this.#observed?.lease.spec) === JSON.stringify(lease.spec);
    const atMs = isSame && this.#observed !== null ? this.#observed.atMs : this.#nowMs();
    this.#observed = { lease, atMs };
    return this.#observed;
  }

  #isFree({ lease, atMs }: Observed): boolean {
    const { holderIdentity = "", leaseDurationSeconds = LEASE_SEC } = lease.spec;
    return holderIdentity === "" || this.#nowMs() - atMs >= leaseDurationSeconds * 1000;
  }

  #lead(renewedAtMs: number | null): void {
    this.#renewedAtMs = renewedAtMs;
    this.#deadline?.cancel();
    // Timers drop fractions: one more, or it fires while we still lead.
    const leftMs = renewedAtMs === null ? 0 : renewedAtMs + RENEW_DEADLINE_MS - this.#nowMs() + 1;
    this.#deadline = renewedAtMs === null ? null : this.#context.clock.after(leftMs, () => this.#tell());
    this.#tell();
  }

  #tell(): void {
    const { log, metrics } = this.#context;
    const [leads, holder] = [this.isLeader, this.holder()];
    const before = this.#told;
    if (
      leads === before.leads &&
      holder?.identity === before.holder?.identity &&
      holder?.address === before.holder?.address
    ) {
      return;
    }
    this.#told = { leads, holder };
    metrics.isLeader(leads);
    log.info("leader", { leads, holder: holder?.identity ?? null, address: holder?.address ?? null });
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        log.error("a listener of the election threw", { error: String(error) });
      }
    }
  }

  #nowMs(): number {
    return this.#context.clock.monotonicMs();
  }
}
