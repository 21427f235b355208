// `pannier inject`: prints manifests with the sidecar put into their pods, by the very functions of the operator's
// webhook, offline. Reasons go to stderr.
import { readFile } from "node:fs/promises";
import { isEnabled } from "#crds/annotation-reader.ts";
import { PREFIXES } from "#crds/annotations.ts";
import { type Grammar, parseArguments } from "#kit/arguments.ts";
import { decide } from "#operator/inject/decide.ts";
import { sidecarSettings } from "#operator/inject/flags.ts";
import { defaultSettings, type InjectSettings } from "#operator/inject/settings.ts";
import { complain, flagRows, VERSION_LINE, verbHelp } from "./help.ts";
import { EXIT_FAILURE, EXIT_OK, type HelpPage, type Host, type Verb } from "./host.ts";
import { rewriteFiles } from "./inject-files.ts";
import { INJECT_FLAGS, type InjectFlags } from "./inject-flags.ts";
import type { FoundPod } from "./inject-templates.ts";

const GRAMMAR: Grammar<InjectFlags> = { flags: INJECT_FLAGS, ignored: {}, stopAtWord: false };

const help: HelpPage = {
  name: "inject",
  summary: "Puts the sidecar into the pods of manifests, as the operator would, without a cluster.",
  usage: "inject -f FILE [flags]",
  flags: flagRows(INJECT_FLAGS),
  notes: [
    "Prints all of the manifests; what holds no pod with dapr.io/enabled passes as it stands.",
    "Says on stderr what was done to each pod and why. Exit code 1 when a pod is refused or a file cannot be read.",
  ],
  examples: ["pannier inject -f deployment.yaml", "pannier inject -n shop -f -"],
};

async function main(argv: readonly string[], host: Host): Promise<number> {
  const parsed = parseArguments(GRAMMAR, argv);
  if ("error" in parsed) return complain(host, "inject", parsed.error);
  const { values, words } = parsed;
  if (values.help || values.version) {
    host.stdout.write(values.help ? verbHelp(help) : VERSION_LINE);
    return EXIT_OK;
  }
  if (words.length > 0) return complain(host, "inject", `got ${words.join(" ")}, want manifests by -f`);
  if (values.filename.length === 0) return complain(host, "inject", "got no manifest, want -f FILE");
  await host.signals.release();
  let settings: InjectSettings;
  try {
    settings = await settingsFrom(values);
  } catch (error) {
    host.stderr.write(`pannier inject: --trust-anchors: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT_FAILURE;
  }
  return rewriteFiles(values.filename, host, {
    verb: "inject",
    marks: PREFIXES.map((prefix) => `${prefix}enabled`),
    change: (found, report) => injectOne(found, report, { settings, namespace: values.namespace }),
  });
}

export const verb: Verb = { help, main };

async function settingsFrom(flags: InjectFlags): Promise<InjectSettings> {
  const preset = defaultSettings(flags["control-plane-namespace"]);
  const file = flags["trust-anchors"];
  return {
    ...preset,
    ...sidecarSettings(flags),
    image: flags.image === "" ? preset.image : flags.image,
    imagePullPolicy: flags["image-pull-policy"],
    controlPlaneAddress: flags["control-plane-address"] || preset.controlPlaneAddress,
    trustAnchorsPem: file === "" ? null : await readFile(file, "utf8"),
    nativeSidecars: { supported: flags["native-sidecar"], byDefault: flags["native-sidecar"] },
  };
}

interface Where {
  readonly settings: InjectSettings;
  readonly namespace: string;
}

/** Gives the pod to print, and whether it was not refused. */
function injectOne(found: FoundPod, report: (line: string) => void, where: Where): { pod: unknown; good: boolean } {
  const decision = decide(found.pod, found.namespace ?? where.namespace, where.settings);
  const done = { inject: "injected", skip: "left alone", deny: "refused" }[decision.outcome];
  report(`${done}: ${decision.sentence}`);
  if (decision.outcome === "skip" && decision.reason === "not-enabled" && isEnabled(found.outer))
    report("note: the annotation stands on the object; it belongs on the pod template, under its metadata");
  if (decision.outcome !== "inject") return { pod: found.pod, good: decision.outcome === "skip" };
  for (const note of decision.notes) report(`note: ${note}`);
  return { pod: decision.pod, good: true };
}
