// What replicas of the operator say to each other: a follower tells the leader what its sidecars reported.
// Knows no socket; both sides use what is here.
import { LINE_BYTES_MAX, parseReport } from "#crds/distribution.ts";
import type { PodReport } from "./report-table.ts";
import type { LocalReport } from "./sidecar-reports.ts";

/** POST: a {@link PeerMessage}, with the operator's own token; answered 204, 409 (tell all), 421 (not the leader). */
export const PEER_PATH = "/pannier/v1/peer/reports";
/** A message is sent when it has so many bytes of reports; one report alone may have more. */
export const MESSAGE_BYTES = 1_048_576;
/** Largest message in bytes: one report of the largest kind, written anew, and what fits before it. */
export const MESSAGE_BYTES_MAX: number = 2 * LINE_BYTES_MAX + MESSAGE_BYTES;

export interface PeerMessage {
  /** `first`, `last`: of a round that tells everything; a pod that the round did not name is gone. */
  readonly round: { readonly first: boolean; readonly last: boolean } | null;
  readonly reports: readonly LocalReport[];
  /** UIDs of pods of which the follower knows nothing any more. */
  readonly gone: readonly string[];
}

/** Everything, in as many messages as it takes: one at least. */
export function* roundOf(all: Iterable<LocalReport>): Iterable<PeerMessage> {
  let first = true;
  let reports: LocalReport[] = [];
  let bytes = 0;
  for (const each of all) {
    reports.push(each);
    bytes += JSON.stringify(each).length;
    if (bytes < MESSAGE_BYTES) continue;
    yield { round: { first, last: false }, reports, gone: [] };
    first = false;
    reports = [];
    bytes = 0;
  }
  yield { round: { first, last: true }, reports, gone: [] };
}

/** What of `changed` is there and what is gone, in as many messages as it takes. */
export function* changesOf(
  changed: Iterable<string>,
  of: (podUid: string) => LocalReport | undefined,
): Iterable<PeerMessage> {
  let reports: LocalReport[] = [];
  let gone: string[] = [];
  let bytes = 0;
  for (const podUid of changed) {
    const local = of(podUid);
    if (local === undefined) gone.push(podUid);
    else reports.push(local);
    bytes += local === undefined ? podUid.length : JSON.stringify(local).length;
    if (bytes < MESSAGE_BYTES) continue;
    yield { round: null, reports, gone };
    [reports, gone, bytes] = [[], [], 0];
  }
  yield { round: null, reports, gone };
}

/** Reads a message. Null for what is none. */
export function parsePeerMessage(text: string): PeerMessage | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Told by the null.
    return null;
  }
  if (!isMapping(value) || !Array.isArray(value.reports) || !Array.isArray(value.gone)) return null;
  const reports = value.reports.map(parseLocal);
  const round = parseRound(value.round);
  const { gone } = value;
  if (round === undefined || !gone.every((each) => typeof each === "string")) return null;
  return reports.every((each) => each !== null) ? { round, reports, gone } : null;
}

function parseRound(value: unknown): PeerMessage["round"] | undefined {
  if (value === null) return null;
  if (!isMapping(value) || typeof value.first !== "boolean" || typeof value.last !== "boolean") return undefined;
  return { first: value.first, last: value.last };
}

function parseLocal(value: unknown): LocalReport | null {
  if (!isMapping(value) || typeof value.isConnected !== "boolean") return null;
  const report = parsePodReport(value.report);
  return report === null ? null : { report, isConnected: value.isConnected };
}

function parsePodReport(value: unknown): PodReport | null {
  if (!isMapping(value)) return null;
  const { namespace, podName, podUid, appId } = value;
  if (typeof namespace !== "string" || typeof podName !== "string") return null;
  if (typeof podUid !== "string" || typeof appId !== "string") return null;
  // One reader for what sidecars and replicas say of Components.
  const report = parseReport(JSON.stringify({ components: value.components }));
  return report === null ? null : { namespace, podName, podUid, appId, components: report.components };
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
