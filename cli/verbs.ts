// Which verbs there are. Each is loaded only when it is asked for: a sidecar in a pod never loads what `run` needs.
import type { Verb } from "./host.ts";

export interface VerbEntry {
  readonly summary: string;
  readonly load: () => Promise<{ readonly verb: Verb }>;
}

export const VERBS: Readonly<Record<string, VerbEntry>> = {
  run: {
    summary: "start the state API on this machine, and an app beside it",
    load: () => import("./run/run.ts"),
  },
  sidecar: {
    summary: "the process for pods; takes every flag of daprd",
    load: () => import("./sidecar.ts"),
  },
  check: {
    summary: "find every fault in manifests, without starting anything",
    load: () => import("./check-verb.ts"),
  },
  inject: {
    summary: "put the sidecar into the pods of manifests, without a cluster",
    load: () => import("./inject.ts"),
  },
  uninject: {
    summary: "take the sidecar out of the pods of manifests again",
    load: () => import("./uninject.ts"),
  },
};
