// `pannier uninject`: prints manifests with what `pannier inject` or the operator put into their pods taken out again.
import { INJECTED_BY } from "#crds/annotations.ts";
import { type Grammar, parseArguments } from "#kit/arguments.ts";
import { uninject } from "#operator/inject/uninject.ts";
import { complain, flagRows, VERSION_LINE, verbHelp } from "./help.ts";
import { EXIT_OK, type HelpPage, type Host, type Verb } from "./host.ts";
import { rewriteFiles } from "./inject-files.ts";
import { UNINJECT_FLAGS, type UninjectFlags } from "./inject-flags.ts";
import type { FoundPod } from "./inject-templates.ts";

const GRAMMAR: Grammar<UninjectFlags> = { flags: UNINJECT_FLAGS, ignored: {}, stopAtWord: false };

const help: HelpPage = {
  name: "uninject",
  summary: "Takes the sidecar out of the pods of manifests again.",
  usage: "uninject -f FILE [flags]",
  flags: flagRows(UNINJECT_FLAGS),
  notes: [
    "Changes only pods that carry the mark pannier.io/injected-by, and leaves the annotations that asked for it.",
    "Labels that were there before injection come back as they were.",
  ],
  examples: ["pannier uninject -f injected.yaml"],
};

async function main(argv: readonly string[], host: Host): Promise<number> {
  const parsed = parseArguments(GRAMMAR, argv);
  if ("error" in parsed) return complain(host, "uninject", parsed.error);
  const { values, words } = parsed;
  if (values.help || values.version) {
    host.stdout.write(values.help ? verbHelp(help) : VERSION_LINE);
    return EXIT_OK;
  }
  if (words.length > 0) return complain(host, "uninject", `got ${words.join(" ")}, want manifests by -f`);
  if (values.filename.length === 0) return complain(host, "uninject", "got no manifest, want -f FILE");
  await host.signals.release();
  return rewriteFiles(values.filename, host, { verb: "uninject", marks: [INJECTED_BY], change: uninjectOne });
}

export const verb: Verb = { help, main };

function uninjectOne(found: FoundPod, report: (line: string) => void): { pod: unknown; good: boolean } {
  const removal = uninject(found.pod);
  if (removal.outcome === "removed") {
    report("the sidecar is taken out");
    return { pod: removal.pod, good: true };
  }
  report(`left alone: ${removal.sentence}`);
  return { pod: found.pod, good: removal.outcome === "nothing" };
}
