// `pannier check`: the command line of the offline check. What is checked, and how it is shown, check.ts knows.
import { booleanFlag, type FlagTable, type Grammar, listFlag, parseArguments, wordFlag } from "#kit/arguments.ts";
import { complain, flagRows, VERSION_LINE, verbHelp } from "./help.ts";
import { EXIT_OK, type HelpPage, type Host, type Verb } from "./host.ts";

export interface CheckFlags {
  output: "text" | "json";
  "resources-path": readonly string[];
  pluggable: readonly string[];
  version: boolean;
  help: boolean;
}

export const CHECK_FLAGS: FlagTable<CheckFlags> = {
  output: wordFlag({
    placeholder: "FORM",
    short: "o",
    fallback: "text",
    words: ["text", "json"],
    doc: "how faults are printed: text or json",
  }),
  "resources-path": listFlag({ placeholder: "DIR", short: "d", doc: "a path to check, as for run; may be repeated" }),
  pluggable: listFlag({
    placeholder: "TYPE",
    doc: "a type that a pluggable component serves, state.foo; may be repeated",
  }),
  version: booleanFlag({ fallback: false, doc: "print the version" }),
  help: booleanFlag({ fallback: false, short: "h", doc: "print this help" }),
};

const GRAMMAR: Grammar<CheckFlags> = { flags: CHECK_FLAGS, ignored: {}, stopAtWord: false };

const help: HelpPage = {
  name: "check",
  summary: "Finds every fault in manifests, with the decoder of the sidecar, without starting anything.",
  usage: "check [flags] PATH...",
  flags: flagRows(CHECK_FLAGS),
  notes: [
    "PATH is a manifest or a folder of manifests. Lists, as kubectl get -o yaml prints them, are judged by their items.",
    "Exit code 0 when there is no error, 1 when there is one.",
  ],
  examples: ["pannier check .pannier/components", "pannier check --output json components/ > faults.json"],
};

async function main(argv: readonly string[], host: Host): Promise<number> {
  const parsed = parseArguments(GRAMMAR, argv);
  if ("error" in parsed) return complain(host, "check", parsed.error);
  if (parsed.values.help || parsed.values.version) {
    host.stdout.write(parsed.values.help ? verbHelp(help) : VERSION_LINE);
    return EXIT_OK;
  }
  const paths = [...parsed.words, ...parsed.values["resources-path"]];
  if (paths.length === 0) return complain(host, "check", "got no path, want at least one manifest or folder");
  await host.signals.release();
  const { check } = await import("./check.ts");
  const { output, pluggable } = parsed.values;
  return check(paths, { output, pluggable, write: (text: string) => host.stdout.write(text) });
}

export const verb: Verb = { help, main };
