// A process under measurement: what it has used of CPU and memory, as Linux tells it, and what a run of requests comes to.
import { readFileSync } from "node:fs";

/** Ticks per second of /proc/PID/stat; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** User and system time of all threads since the start, in microseconds. */
export function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the name in parentheses and may hold spaces; user and system time are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6;
}

/** Memory that no file backs, in MB. */
export function privateMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 102.4) / 10;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[sorted.length >> 1] ?? 0;
}

/** A run of requests, each sent when its lane had the answer to the one before. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Times of one request, in microseconds. */
  readonly p50Us: number;
  readonly p99Us: number;
}

/** Sorts `latenciesUs` in place. */
export function summed(latenciesUs: number[], seconds: number): LoadResult {
  latenciesUs.sort((left, right) => left - right);
  const at = (share: number): number => latenciesUs[Math.floor(latenciesUs.length * share)] ?? 0;
  return { requests: latenciesUs.length, seconds, p50Us: at(0.5), p99Us: at(0.99) };
}
