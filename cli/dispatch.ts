// From a command line to a verb: finds the verb, wherever its flags stand, and hands over. Knows no verb's work.
import { basename } from "node:path";
import { booleanFlag, type FlagTable, type Grammar, parseArguments } from "#kit/arguments.ts";
import { nearest } from "#kit/nearest.ts";
import { DAPRD_FLAGS, type DaprdFlags } from "#sidecar/daprd-flags.ts";
import { CHECK_FLAGS, type CheckFlags } from "./check-verb.ts";
import { complain, overview, VERSION_LINE, verbHelp } from "./help.ts";
import { EXIT_OK, type Host } from "./host.ts";
import { INJECT_FLAGS, type InjectFlags } from "./inject-flags.ts";
import { RUN_FLAGS, RUN_FLAGS_WITHOUT_EFFECT, type RunFlags } from "./run/flags.ts";
import { VERBS, type VerbEntry } from "./verbs.ts";

/** Runs the verb that `argv` (without program names) asks for. Gives the exit code. */
export async function dispatch(argv: readonly string[], host: Host): Promise<number> {
  const split = splitVerb(argv);
  if ("error" in split) return complain(host, null, split.error);
  if ("print" in split) {
    host.stdout.write(split.print);
    return EXIT_OK;
  }
  const { name, rest } = split;
  if (name === "help") return showHelp(rest, host);
  const entry = findVerb(name);
  if (entry === null) return complain(host, null, unknownVerb(name));
  const { verb } = await entry.load();
  return verb.main(rest, host);
}

type Split =
  | { readonly name: string; readonly rest: readonly string[] }
  | { readonly print: string }
  | { readonly error: string };

/** Any verb's flags may stand before the verb: which of them take a value decides where the verb is. */
type AnyFlags = DaprdFlags & RunFlags & CheckFlags & InjectFlags;
const ANY_FLAGS: FlagTable<AnyFlags> = {
  ...CHECK_FLAGS,
  ...INJECT_FLAGS,
  ...DAPRD_FLAGS,
  ...RUN_FLAGS,
  help: booleanFlag({ fallback: false, short: "h", doc: "" }),
};

const HELP_GRAMMAR: Grammar<{ help: boolean }> = { flags: { help: ANY_FLAGS.help }, ignored: {}, stopAtWord: false };

function splitVerb(argv: readonly string[]): Split {
  const [first] = argv;
  if (first === undefined) return { print: helpPage() };
  // Pods name Dapr's program as the first argument, whatever the image starts: `/daprd --app-id …`.
  if (basename(first) === "daprd") return { name: "sidecar", rest: argv.slice(1) };
  if (!first.startsWith("-")) return { name: first, rest: argv.slice(1) };
  const parsed = parseArguments({ flags: ANY_FLAGS, ignored: RUN_FLAGS_WITHOUT_EFFECT, stopAtWord: true }, argv);
  if ("error" in parsed) return parsed;
  const [name, ...rest] = parsed.words;
  if (name !== undefined) {
    const before = argv.slice(0, argv.length - parsed.words.length);
    // "--" ended the flags before the verb; behind it, it would end the verb's own.
    if (before.at(-1) === "--") before.pop();
    return { name, rest: [...before, ...rest] };
  }
  if (parsed.values.help) return { print: helpPage() };
  if (parsed.values.version) return { print: VERSION_LINE };
  return { error: `got no verb, want one of ${Object.keys(VERBS).join(", ")}` };
}

/** The page of the verb that `argv` names, or of all. */
async function showHelp(argv: readonly string[], host: Host): Promise<number> {
  const parsed = parseArguments(HELP_GRAMMAR, argv);
  if ("error" in parsed) return complain(host, null, parsed.error);
  const [name = "help", ...more] = parsed.words;
  if (more.length > 0) return complain(host, null, `help: got ${[name, ...more].join(" and ")}, want one verb`);
  const entry = findVerb(name);
  if (entry === null && name !== "help") return complain(host, null, unknownVerb(name));
  host.stdout.write(entry === null ? helpPage() : verbHelp((await entry.load()).verb.help));
  return EXIT_OK;
}

function findVerb(name: string): VerbEntry | null {
  return Object.hasOwn(VERBS, name) ? (VERBS[name] ?? null) : null;
}

function unknownVerb(name: string): string {
  if (name === "version") return `unknown verb "version"; did you mean --version?`;
  const near = nearest(name, [...Object.keys(VERBS), "help"]);
  const hint = near === null ? `want one of ${Object.keys(VERBS).join(", ")}` : `did you mean ${near}?`;
  return `unknown verb ${JSON.stringify(name)}; ${hint}`;
}

function helpPage(): string {
  return overview(Object.entries(VERBS).map(([name, { summary }]) => [name, summary]));
}
