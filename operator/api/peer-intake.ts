// The leader's side: puts what followers tell into the table of reports, and forgets a follower that is silent.
// Knows no socket and no token: who the follower is comes from whoever checked it.
import type { Clock, Timer } from "#kit/clock.ts";
import type { PeerMessage } from "./peer-message.ts";
import { HERE, type ReportTable } from "./report-table.ts";
import type { LocalReport, SidecarReports } from "./sidecar-reports.ts";

/** What a follower said counts for so long after its last word, in milliseconds; it has one every 15 s at least. */
export const PEER_SILENCE_MS = 60_000;
/** Most followers at once: more than a Deployment of operators has, also while it is rolled over. */
export const PEERS_MAX = 16;

interface Peer {
  pods: Set<string>;
  /** The pods named in the round that is under way; null between rounds. */
  round: Set<string> | null;
  forgetting: Timer;
}

export class PeerIntake {
  readonly #table: ReportTable;
  readonly #local: SidecarReports;
  readonly #clock: Clock;
  /** By the UID of the follower's pod. */
  readonly #peers = new Map<string, Peer>();

  constructor(parts: { readonly table: ReportTable; readonly local: SidecarReports; readonly clock: Clock }) {
    this.#table = parts.table;
    this.#local = parts.local;
    this.#clock = parts.clock;
  }

  /**
   * Takes a follower's message. False when the follower has to tell everything first: it is not known here, because
   * this replica leads since a moment ago or has not heard of it for too long.
   */
  take(replica: string, { round, reports, gone }: PeerMessage): boolean {
    const peer = this.#peerOf(replica, round?.first === true);
    if (peer === null) return false;
    if (round?.first === true) peer.round = new Set();
    for (const each of reports) this.#put(replica, peer, each);
    for (const podUid of gone) this.#remove(replica, peer, podUid);
    if (round?.last === true) this.#endRound(replica, peer);
    return true;
  }

  /** Forgets what all followers said: this replica leads no more. */
  forgetAll(): void {
    for (const replica of this.#peers.keys()) this.#forget(replica);
  }

  /** Waits for nothing any more; the table stays as it is. */
  close(): void {
    for (const { forgetting } of this.#peers.values()) forgetting.cancel();
    this.#peers.clear();
  }

  /** A message that begins a round makes a follower known; there is no room for more than {@link PEERS_MAX}. */
  #peerOf(replica: string, begins: boolean): Peer | null {
    const known = this.#peers.get(replica);
    if (known === undefined && (!begins || this.#peers.size >= PEERS_MAX)) return null;
    known?.forgetting.cancel();
    const forgetting = this.#clock.after(PEER_SILENCE_MS, () => this.#forget(replica));
    const peer = known ?? { pods: new Set(), round: null, forgetting };
    peer.forgetting = forgetting;
    this.#peers.set(replica, peer);
    return peer;
  }

  #put(replica: string, peer: Peer, { report, isConnected }: LocalReport): void {
    const { podUid } = report;
    const source = this.#table.sourceOf(podUid);
    peer.pods.add(podUid);
    peer.round?.add(podUid);
    // A follower keeps the word of a sidecar that left it for a while; by then it may have come to another replica.
    if (!isConnected && source !== undefined && source !== replica) return;
    this.#table.put(report, replica);
  }

  #remove(replica: string, peer: Peer, podUid: string): void {
    peer.pods.delete(podUid);
    if (this.#table.sourceOf(podUid) !== replica) return;
    const local = this.#local.of(podUid);
    if (local === undefined) this.#table.remove(podUid, replica);
    else this.#table.put(local.report, HERE);
  }

  #endRound(replica: string, peer: Peer): void {
    const named = peer.round;
    peer.round = null;
    if (named === null) return;
    for (const podUid of peer.pods) if (!named.has(podUid)) this.#remove(replica, peer, podUid);
  }

  #forget(replica: string): void {
    const peer = this.#peers.get(replica);
    if (peer === undefined) return;
    peer.forgetting.cancel();
    this.#peers.delete(replica);
    for (const podUid of peer.pods) this.#remove(replica, peer, podUid);
  }
}
