// The open streams of this replica: how many, whose, and when one has to end: with its pod, with its rights, with age,
// for a newer one, with this replica. Knows no token.
import type { ServerResponse } from "node:http";
import { type Clock, never, sleep, type Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { Cache } from "../kube/cache.ts";
import { type KubeObject, objectKey } from "../kube/object.ts";
import type { OperatorMetrics } from "../metrics.ts";
import type { Publisher } from "./publish.ts";
import { type Refusal, refuse } from "./refusal.ts";
import { isSameSidecar, type Sidecar, sidecarOf } from "./sidecar.ts";
import type { SidecarReports } from "./sidecar-reports.ts";
import { ResourceStream, type StreamEnd } from "./stream.ts";

/** Most streams of a replica. */
export const STREAMS_MAX = 10_000;
/** Most streams of a pod: one more replaces the oldest, which may be what a broken connection left. */
export const STREAMS_PER_POD_MAX = 2;
/** A stream ends when it is this old, in milliseconds, up to half as much later: its sidecar shows its newest token, to any replica. */
export const STREAM_AGE_MS = 21_600_000;
/** Streams are compared with the pods this often, for what a watch did not tell; one is left alone while it is younger. */
export const SWEEP_MS = 60_000;
/** What a sidecar is told to wait when there is no room, in seconds. */
const NO_ROOM_SEC = 10;

export interface StreamsOptions {
  readonly publisher: Publisher;
  readonly reports: SidecarReports;
  /** All pods, of which only the metadata is read. */
  readonly pods: Cache<KubeObject>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: OperatorMetrics;
  /** {@link STREAMS_MAX} by default. */
  readonly streamsMax?: number;
  /** SLOW_MS of stream.ts by default. */
  readonly slowMs?: number;
}

interface Open {
  readonly sidecar: Sidecar;
  readonly stream: ResourceStream;
  readonly sinceMs: number;
  readonly aging: Timer;
}

export class Streams {
  readonly #options: StreamsOptions;
  /** By the pod's UID, oldest first. */
  readonly #byPod = new Map<string, readonly Open[]>();
  #count = 0;
  #sweeping: Timer;
  readonly #unlisten: () => void;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#unlisten = options.pods.onChange((_key, now, before) => this.#podChanged(now, before));
    this.#sweeping = this.#sweepLater();
  }

  get open(): number {
    return this.#count;
  }

  /** Who the pod's newest stream was opened for; null when it has none here. */
  sidecarOf(podUid: string): Sidecar | null {
    return this.#byPod.get(podUid)?.at(-1)?.sidecar ?? null;
  }

  /** Begins a stream into the answer, or says why not. */
  add(sidecar: Sidecar, response: ServerResponse): Refusal | null {
    const { streamsMax = STREAMS_MAX } = this.#options;
    const ofPod = this.#byPod.get(sidecar.podUid) ?? [];
    if (this.#count >= streamsMax && ofPod.length === 0) {
      return refuse(503, `this replica of the operator has ${streamsMax} streams, its limit`, NO_ROOM_SEC);
    }
    if (ofPod.length >= STREAMS_PER_POD_MAX) ofPod[0]?.stream.end("replaced");
    this.#begin(sidecar, response);
    return null;
  }

  /** Ends all streams, each at its own time within `spreadMs`, so that the other replicas take them one by one. */
  async drain(spreadMs: number): Promise<void> {
    const { clock, random } = this.#options;
    const all = [...this.#byPod.values()].flat();
    const ends = all.map(async ({ stream }) => {
      await sleep(clock, spreadMs * random.fraction(), never);
      stream.end("shutdown");
    });
    await Promise.all(ends);
  }

  /** Cuts what is left. */
  close(): void {
    this.#unlisten();
    this.#sweeping.cancel();
    for (const { stream } of [...this.#byPod.values()].flat()) stream.cut("shutdown");
  }

  #begin(sidecar: Sidecar, response: ServerResponse): void {
    const { publisher, reports, clock, random, slowMs } = this.#options;
    const feed = publisher.open({
      sidecar,
      onWaiting: () => stream.pump(),
      onOverflow: () => stream.cut("slow"),
    });
    const onEnd = (cause: StreamEnd): void => {
      publisher.close(feed);
      this.#ended(open, cause);
    };
    const stream = new ResourceStream({
      feed,
      response,
      clock,
      random,
      onEnd,
      ...(slowMs === undefined ? {} : { slowMs }),
    });
    const aging = clock.after(STREAM_AGE_MS * (1 + random.fraction() / 2), () => stream.end("aged"));
    const open: Open = { sidecar, stream, sinceMs: clock.monotonicMs(), aging };
    this.#byPod.set(sidecar.podUid, [...(this.#byPod.get(sidecar.podUid) ?? []), open]);
    this.#counted(1);
    reports.connected(sidecar);
    this.#log("a sidecar's stream begins", sidecar);
    stream.start();
  }

  #ended(open: Open, cause: StreamEnd): void {
    const { sidecar } = open;
    open.aging.cancel();
    const left = (this.#byPod.get(sidecar.podUid) ?? []).filter((each) => each !== open);
    if (left.length === 0) this.#byPod.delete(sidecar.podUid);
    else this.#byPod.set(sidecar.podUid, left);
    this.#counted(-1);
    this.#options.metrics.streamEnded(cause);
    this.#options.reports.disconnected(sidecar);
    this.#log("a sidecar's stream has ended", sidecar, cause);
  }

  #counted(change: 1 | -1): void {
    this.#count += change;
    this.#options.metrics.streams(this.#count);
  }

  /** Access ends with the pod, and with the app id or Configuration that it was given for. */
  #podChanged(now: KubeObject | undefined, before: KubeObject | undefined): void {
    const earlier = before?.metadata.uid;
    if (earlier !== undefined && earlier !== now?.metadata.uid) {
      this.#revoke(earlier);
      this.#options.reports.gone(earlier);
    }
    if (now !== undefined) this.#compare(now);
  }

  #compare({ metadata }: KubeObject): void {
    const opened = this.sidecarOf(metadata.uid);
    if (opened === null) return;
    const sidecar = sidecarOf(metadata);
    if ("problem" in sidecar || !isSameSidecar(sidecar, opened)) this.#revoke(metadata.uid);
  }

  #revoke(podUid: string): void {
    for (const { stream } of this.#byPod.get(podUid) ?? []) stream.end("revoked");
  }

  #sweepLater(): Timer {
    return this.#options.clock.after(SWEEP_MS, () => {
      this.#sweep();
      this.#sweeping = this.#sweepLater();
    });
  }

  /** A pod may end between the look at it and the beginning of its stream, and its watch tells that only once. */
  #sweep(): void {
    const { pods, clock } = this.#options;
    if (!pods.synced) return;
    for (const [podUid, opened] of this.#byPod) {
      const [oldest] = opened;
      if (oldest === undefined || clock.monotonicMs() - oldest.sinceMs < SWEEP_MS) continue;
      const { namespace, podName } = oldest.sidecar;
      const pod = pods.get(objectKey(namespace, podName));
      if (pod?.metadata.uid === podUid) this.#compare(pod);
      else this.#revoke(podUid);
    }
  }

  #log(message: string, { namespace, podName, appId }: Sidecar, cause?: StreamEnd): void {
    const fields = { namespace, pod: podName, sidecar: appId, open: this.#count };
    this.#options.log.debug(message, cause === undefined ? fields : { ...fields, cause });
  }
}
