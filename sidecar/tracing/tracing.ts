// Tracing as the Configuration has it: nothing is loaded before there is something to send and somewhere to send it.
import type { TracingSettings } from "#crds/configuration.ts";
import { type Clock, sleep } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { OpenTelemetry } from "./open-telemetry.ts";
import type { Tracer, TracerSource } from "./tracer.ts";

export interface TracingOptions {
  readonly appId: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** At the end, spans that wait have so long to be sent, in milliseconds. */
const FLUSH_MS_MAX = 2_000;

export class Tracing implements TracerSource {
  readonly #options: TracingOptions;
  /** Null in it: it could not be opened. */
  #telemetry: Promise<OpenTelemetry | null> | null = null;
  #settings: TracingSettings | null = null;
  #tracer: Tracer | null = null;

  private constructor(options: TracingOptions) {
    this.#options = options;
  }

  static async open(options: TracingOptions, settings: TracingSettings | null): Promise<Tracing> {
    const tracing = new Tracing(options);
    await tracing.adopt(settings);
    return tracing;
  }

  get tracer(): Tracer | null {
    return this.#tracer;
  }

  /**
   * Takes over how much is sampled. Where spans go is settled when the first are to be sent, and stays. Never rejects:
   * state is served without spans rather than not at all.
   */
  async adopt(settings: TracingSettings | null): Promise<void> {
    this.#settings = settings;
    if (settings === null || settings.samplingRate === 0 || !hasTarget(settings)) {
      this.#tracer = null;
      return;
    }
    this.#telemetry ??= this.#openTelemetry(settings);
    const telemetry = await this.#telemetry;
    // Opening takes a while, and a newer Configuration may have said otherwise meanwhile.
    if (this.#settings !== settings) return;
    if (telemetry === null) this.#telemetry = null;
    else telemetry.samplingRate = settings.samplingRate;
    this.#tracer = telemetry;
  }

  async #openTelemetry(settings: TracingSettings): Promise<OpenTelemetry | null> {
    try {
      const { OpenTelemetry } = await import("./open-telemetry.ts");
      return await OpenTelemetry.open({ ...this.#options, settings });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log.error("tracing cannot begin, requests are served without it", { error: reason });
      return null;
    }
  }

  /** Sends what waits, within {@link FLUSH_MS_MAX}. */
  async close(): Promise<void> {
    this.#settings = null;
    this.#tracer = null;
    const done = new AbortController();
    const { clock, log } = this.#options;
    const telemetry = await this.#telemetry;
    const closing = telemetry?.close().catch((error: unknown) => {
      log.warn("the last spans were not sent", { error: error instanceof Error ? error.message : String(error) });
    });
    await Promise.race([closing, sleep(clock, FLUSH_MS_MAX, done.signal)]);
    done.abort();
  }
}

function hasTarget({ stdout, otel, zipkinEndpoint }: TracingSettings): boolean {
  return stdout || otel !== null || zipkinEndpoint !== null;
}
