// The follower's side: tells the leader what the sidecars connected here report, since only the leader writes status.
// All of it to a new leader, then changes; proven by the operator's own token. Knows no Kubernetes.
import type { ClientRequest } from "node:http";
import { Agent, request } from "node:https";
import { type Clock, sleep } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import { changesOf, PEER_PATH, type PeerMessage, roundOf } from "./peer-message.ts";
import type { SidecarReports } from "./sidecar-reports.ts";

/** Who leads, as the Lease says. */
export interface Leadership {
  readonly isLeader: boolean;
  /** `address` is "host:port" of the leader's distribution API; "" where the Lease names none. */
  holder(): { readonly identity: string; readonly address: string } | null;
  /** Gives the end of it. */
  onChange(listener: () => void): () => void;
}

/** Changes are gathered for so long before they are sent, in milliseconds. */
export const GATHER_MS = 200;
/** A word at least this often, in milliseconds, or the leader forgets us. */
export const BEAT_MS = 15_000;
/** Everything is told anew this often, in milliseconds: it repairs what two replicas saw in another order. */
export const ROUND_MS = 300_000;
/** With more changed pods than this everything is told. */
export const CHANGED_MAX = 5_000;
/** Pauses after failures, in milliseconds: doubled from the first to the longest, with chance taken from each. */
const PAUSE_FIRST_MS = 250;
const PAUSE_MAX_MS = 10_000;
const REQUEST_TIMEOUT_MS = 10_000;

export interface PeerForwarderOptions {
  readonly leadership: Leadership;
  readonly reports: SidecarReports;
  /** PEM of our own CAs, as of now. */
  readonly trustAnchors: () => string;
  /** The name in the leader's certificate: the service's. */
  readonly serverName: string;
  /** The operator's own projected token, as of now; the kubelet renews it. */
  readonly readToken: () => Promise<string>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Where the leader is, and who, so that another one is noticed. */
interface Leader {
  readonly identity: string;
  readonly host: string;
  readonly port: number;
}

export class PeerForwarder {
  readonly #options: PeerForwarderOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #closing = new AbortController();
  readonly #unlisten: readonly (() => void)[];
  #changed = new Set<string>();
  #toldTo: string | null = null;
  #roundAtMs = 0;
  #failures = 0;
  #isWarned = false;
  /** Whoever leads is another since the leader was looked up. */
  #hasNews = false;
  #wake: () => void = () => undefined;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: PeerForwarderOptions) {
    this.#options = options;
    const { reports, leadership } = options;
    this.#unlisten = [
      reports.onChange((podUid) => this.#note(podUid)),
      leadership.onChange(() => this.#leaderChanged()),
    ];
  }

  start(): void {
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    for (const unlisten of this.#unlisten) unlisten();
    this.#closing.abort();
    this.#wake();
    await this.#loop;
    this.#agent.destroy();
  }

  #note(podUid: string): void {
    this.#changed.add(podUid);
    if (this.#changed.size > CHANGED_MAX) this.#startOver();
    this.#wake();
  }

  /** Also while the old one is told: then there is nobody to wake, and it is not to be found out at the next beat. */
  #leaderChanged(): void {
    this.#hasNews = true;
    this.#wake();
  }

  #startOver(): void {
    this.#toldTo = null;
    this.#changed.clear();
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#options;
    while (!this.#closing.signal.aborted) {
      this.#hasNews = false;
      const leader = this.#leader();
      if (leader === null) this.#startOver();
      else await this.#tell(leader);
      if (this.#failures > 0) {
        const pauseMs = Math.min(PAUSE_FIRST_MS * 2 ** (this.#failures - 1), PAUSE_MAX_MS);
        await sleep(clock, pauseMs * (0.5 + random.fraction() / 2), this.#closing.signal);
      } else {
        const isToldAll = leader === null || this.#changed.size === 0;
        if (isToldAll && !this.#hasNews) await this.#untilWoken(BEAT_MS);
        await sleep(clock, GATHER_MS, this.#closing.signal);
      }
    }
  }

  /** Null while this replica leads itself, or nobody is known to. */
  #leader(): Leader | null {
    const { leadership } = this.#options;
    const holder = leadership.isLeader ? null : leadership.holder();
    if (holder === null || holder.address === "") return null;
    const colon = holder.address.lastIndexOf(":");
    const host = holder.address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
    return { identity: holder.identity, host, port: Number(holder.address.slice(colon + 1)) };
  }

  async #tell(leader: Leader): Promise<void> {
    const { reports, clock, random } = this.#options;
    const isRound = this.#toldTo !== leader.identity || clock.monotonicMs() >= this.#roundAtMs;
    const changed = this.#changed;
    this.#changed = new Set();
    try {
      const messages = isRound ? roundOf(reports.all()) : changesOf(changed, (podUid) => reports.of(podUid));
      for (const message of messages) await this.#send(leader, message);
      if (isRound) this.#roundAtMs = clock.monotonicMs() + ROUND_MS * (0.5 + random.fraction() / 2);
      this.#toldTo = leader.identity;
      this.#failures = 0;
      this.#isWarned = false;
    } catch (error) {
      this.#failed(error, changed);
    }
  }

  #failed(error: unknown, changed: ReadonlySet<string>): void {
    if (this.#closing.signal.aborted) return;
    this.#failures++;
    for (const podUid of changed) this.#changed.add(podUid);
    if (error instanceof Answered && error.status === 409) this.#startOver();
    // While leaders change, the one that is asked says that it leads no more: the next pause is enough.
    if (this.#isWarned || this.#failures < 3) return;
    this.#isWarned = true;
    this.#options.log.warn("the leader cannot be told what sidecars report; trying again", {
      error: error instanceof Error ? error.message : String(error),
    });
  }

  async #send({ host, port }: Leader, message: PeerMessage): Promise<void> {
    const { trustAnchors, serverName, readToken, clock } = this.#options;
    const body = Buffer.from(JSON.stringify(message));
    const token = (await readToken()).trim();
    const sent = request({
      host,
      port,
      servername: serverName,
      method: "POST",
      path: PEER_PATH,
      agent: this.#agent,
      ca: trustAnchors(),
      minVersion: "TLSv1.3",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", "Content-Length": body.length },
      signal: this.#closing.signal,
    });
    const late = clock.after(REQUEST_TIMEOUT_MS, () =>
      sent.destroy(new Error(`no answer in ${REQUEST_TIMEOUT_MS} ms`)),
    );
    try {
      const status = await answerTo(sent, body);
      if (status !== 204) throw new Answered(status);
    } finally {
      late.cancel();
    }
  }

  /** Until something changed, or `atMostMs`. */
  #untilWoken(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(atMostMs, () => this.#wake());
      this.#wake = () => {
        this.#wake = () => undefined;
        timer.cancel();
        resolve();
      };
      if (this.#closing.signal.aborted) this.#wake();
    });
  }
}

/** Sends the body; gives the answer's status once all of the answer is there. */
function answerTo(sent: ClientRequest, body: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    sent.on("error", reject);
    sent.once("response", (response) => {
      response.on("error", reject);
      response.once("end", () => resolve(response.statusCode ?? 0));
      response.resume();
    });
    sent.end(body);
  });
}

/** The leader answered, and not with 204. */
class Answered extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the leader answered ${status}`);
    this.status = status;
  }
}
