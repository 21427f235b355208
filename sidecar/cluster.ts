// What a sidecar in a cluster has besides: its link to the operator, the servers that say what it waits for, and its
// reports. Knows no store.
import { type Clock, never } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import { OperatorLink } from "./components/operator-link.ts";
import { OperatorReports, type Reportable } from "./components/operator-reports.ts";
import { fileOrigin } from "./configuration/files.ts";
import { operatorOrigin } from "./configuration/operator-origin.ts";
import { ConfigurationError, type ConfigurationOrigin } from "./configuration/origin.ts";
import { type ConfigurationOptions, ConfigurationSource } from "./configuration/source.ts";
import type { OperatorSettings, SidecarSettings } from "./settings.ts";
import { WaitingServers } from "./waiting.ts";

export interface ClusterOptions {
  readonly settings: SidecarSettings;
  readonly operator: OperatorSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Ends the waiting. */
  readonly stopping?: AbortSignal | undefined;
}

export class Cluster {
  readonly link: OperatorLink;
  readonly #options: ClusterOptions;
  readonly #log: Log;
  #waiting: WaitingServers | null = null;
  /** Of the servers that wait, once they are to go. */
  #leaving: Promise<void> = Promise.resolve();
  #reports: OperatorReports | null = null;
  /** Why the Configuration cannot be used; null when it can, or was not looked at yet. */
  #problem: string | null = null;

  private constructor(options: ClusterOptions) {
    const { operator: settings, clock, random } = options;
    this.#options = options;
    this.#log = options.log.scoped("dapr.runtime.operator");
    this.link = new OperatorLink({ settings, clock, random, log: this.#log });
  }

  /**
   * Resolves when the operator has sent everything; it waits as long as that takes, and health says for what. Rejects
   * with a ListenError, or with the reason of `stopping`.
   */
  static async join(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options);
    const { settings, clock } = options;
    try {
      cluster.#waiting = await WaitingServers.open({ settings, clock, why: () => cluster.#why() });
      cluster.link.start();
      await cluster.#unlessStopped(cluster.link.firstSet());
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /** Waits until the Configuration can be used: nothing is served before it is known what that denies. */
  async configuration(options: Omit<ConfigurationOptions, "origin">): Promise<ConfigurationSource> {
    const origin = this.#origin();
    for (;;) {
      const changed = Promise.withResolvers<void>();
      const unsubscribe = origin.onChange?.(() => changed.resolve());
      try {
        const source = await ConfigurationSource.open({ ...options, origin });
        this.#problem = null;
        return source;
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
        if (this.#problem !== error.message) this.#log.error(`${error.message}: the start waits until it can be used`);
        this.#problem = error.message;
        await this.#unlessStopped(changed.promise);
      } finally {
        unsubscribe?.();
      }
    }
  }

  /** The places of the API are free as soon as this returns. */
  makeRoom(): void {
    if (this.#waiting !== null) this.#leaving = this.#waiting.close();
    this.#waiting = null;
  }

  report(components: Reportable): void {
    const { clock, random } = this.#options;
    this.#reports = new OperatorReports({ link: this.link, components, clock, random, log: this.#log });
    this.#reports.start();
  }

  async close(): Promise<void> {
    this.makeRoom();
    await this.#reports?.close();
    await this.link.close();
    await this.#leaving;
  }

  #why(): string {
    const { address, connected, sinceMs, problem } = this.link.status();
    const since = new Date(sinceMs).toISOString();
    const isComplete = this.link.streams > 0 && this.#problem === null;
    if (!connected && !isComplete) return `it waits for the operator at ${address} since ${since}: ${problem}`;
    return isComplete ? "its Components are being opened" : `it waits for its Configuration: ${this.#problem}`;
  }

  /** Without a name: what is empty for good. */
  #origin(): ConfigurationOrigin {
    const { configuration } = this.#options.operator;
    return configuration === null ? fileOrigin([], {}) : operatorOrigin(configuration, this.link);
  }

  async #unlessStopped(task: Promise<void>): Promise<void> {
    const stopping = this.#options.stopping ?? never;
    const stopped = Promise.withResolvers<never>();
    const stop = (): void => stopped.reject(stopping.reason);
    stopping.addEventListener("abort", stop, { once: true });
    if (stopping.aborted) stop();
    try {
      await Promise.race([task, stopped.promise]);
    } finally {
      stopping.removeEventListener("abort", stop);
    }
  }
}
