// The process around a verb, as an argument: a test hands in its own.
import type { SidecarEnvironment } from "#sidecar/flags.ts";
import type { Signals } from "./signals.ts";

export interface Output {
  readonly isTTY?: boolean;
  write(chunk: string | Uint8Array): boolean;
}

export interface Host {
  readonly env: NodeJS.ProcessEnv & SidecarEnvironment & { readonly NO_COLOR?: string | undefined };
  /** The folder in which the command was given. */
  readonly cwd: string;
  /** Asked for only by who reads it: opening it changes what the process waits for. */
  readonly stdin: () => NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream & Output;
  readonly stderr: NodeJS.WritableStream & Output;
  /** Held since the start of the process: a verb takes them, or releases them before it does what may last. */
  readonly signals: Signals;
}

/** What a verb's module offers. */
export interface Verb {
  readonly help: HelpPage;
  /** Does the work and gives the exit code. */
  readonly main: (argv: readonly string[], host: Host) => Promise<number>;
}

export interface HelpPage {
  readonly name: string;
  readonly summary: string;
  /** What follows `pannier` on the usage line. */
  readonly usage: string;
  readonly flags: readonly FlagRow[];
  /** Paragraphs below the table. */
  readonly notes: readonly string[];
  /** Whole command lines. */
  readonly examples: readonly string[];
}

export interface FlagRow {
  readonly short: string | null;
  readonly name: string;
  readonly placeholder: string;
  readonly doc: string;
  readonly shownDefault: string;
}

export const EXIT_OK = 0;
/** Something could not be done. */
export const EXIT_FAILURE = 1;
/** The command line could not be understood. */
export const EXIT_USAGE = 2;
