// From a command line to a verb: finds the verb, wherever its flags stand, and hands over. Knows no verb's work.
import { booleanFlag, type FlagTable, parseArguments } from "#kit/arguments.ts";
import { nearest } from "#kit/nearest.ts";
import { DAPR_VERSION, VERSION } from "#kit/version.ts";
import { DAPRD_FLAGS, type DaprdFlags } from "#sidecar/daprd-flags.ts";
import { CHECK_FLAGS, type CheckFlags } from "./check-verb.ts";
import { complain, overview, verbHelp } from "./help.ts";
import { EXIT_OK, type Host } from "./host.ts";
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
  if (name === "help") return showHelp(rest[0], host);
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
type AnyFlags = DaprdFlags & RunFlags & CheckFlags;
const ANY_FLAGS: FlagTable<AnyFlags> = {
  ...CHECK_FLAGS,
  ...DAPRD_FLAGS,
  ...RUN_FLAGS,
  help: booleanFlag({ fallback: false, short: "h", doc: "" }),
};

function splitVerb(argv: readonly string[]): Split {
  const [first] = argv;
  if (first === undefined) return { print: helpPage() };
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
  if (parsed.values.version) return { print: `pannier ${VERSION} (Dapr ${DAPR_VERSION})\n` };
  return { error: `got no verb, want one of ${Object.keys(VERBS).join(", ")}` };
}

async function showHelp(name: string | undefined, host: Host): Promise<number> {
  const entry = name === undefined ? null : findVerb(name);
  if (name !== undefined && entry === null) return complain(host, null, unknownVerb(name));
  host.stdout.write(entry === null ? helpPage() : verbHelp((await entry.load()).verb.help));
  return EXIT_OK;
}

function findVerb(name: string): VerbEntry | null {
  return Object.hasOwn(VERBS, name) ? (VERBS[name] ?? null) : null;
}

function unknownVerb(name: string): string {
  const near = nearest(name, [...Object.keys(VERBS), "help"]);
  const hint = near === null ? `want one of ${Object.keys(VERBS).join(", ")}` : `did you mean ${near}?`;
  return `unknown verb ${JSON.stringify(name)}; ${hint}`;
}

function helpPage(): string {
  return overview(Object.entries(VERBS).map(([name, { summary }]) => [name, summary]));
}
