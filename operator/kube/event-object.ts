// An Event of events.k8s.io/v1 as it is written, within the limits that the API server checks. Pure; asks nobody.
import type { Told } from "./events.ts";
import { microTime } from "./micro-time.ts";

export const EVENTS_API = "events.k8s.io/v1";
/** Longest note, in bytes of UTF-8. */
const NOTE_BYTES_MAX = 1024;
/** Where Events of what is in no namespace go. */
const NAMESPACE_OF_NONE = "default";

/** Who reports. */
export interface Reporter {
  /** "pannier-operator" */
  readonly controller: string;
  /** The pod's name. */
  readonly instance: string;
}

/** How often and when; times in milliseconds since 1970. */
export interface Occurrences {
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

export function namespaceOf({ about }: Told): string {
  return about.metadata.namespace ?? NAMESPACE_OF_NONE;
}

export function eventOf(name: string, told: Told, times: Occurrences, reporter: Reporter): object {
  const { about, type, reason, action, note } = told;
  const { namespace, name: aboutName, uid, resourceVersion } = about.metadata;
  return {
    apiVersion: EVENTS_API,
    kind: "Event",
    metadata: { name, namespace: namespaceOf(told) },
    eventTime: microTime(times.firstMs),
    ...(times.count > 1 ? { series: seriesOf(times) } : {}),
    reportingController: reporter.controller,
    reportingInstance: reporter.instance,
    type,
    reason,
    action,
    note: cut(note),
    regarding: { apiVersion: about.apiVersion, kind: about.kind, name: aboutName, namespace, uid, resourceVersion },
  };
}

export function seriesOf({ count, lastMs }: Occurrences): object {
  return { count, lastObservedTime: microTime(lastMs) };
}

/** As much as fits, in whole characters. */
function cut(note: string): string {
  const { read } = new TextEncoder().encodeInto(note, new Uint8Array(NOTE_BYTES_MAX));
  return note.slice(0, read);
}
