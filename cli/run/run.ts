// `pannier run`: reads the command line, plans, runs, and turns a failure into words and an exit code.
import { parseArguments } from "#kit/arguments.ts";
import { complain, flagRows, VERSION_LINE, verbHelp } from "../help.ts";
import { EXIT_OK, type HelpPage, type Host, type Verb } from "../host.ts";
import { RunFailure } from "./failure.ts";
import { RUN_FLAGS, RUN_GRAMMAR, SHOWN_RUN_FLAGS } from "./flags.ts";
import { makePlan } from "./plan.ts";
import { Session, type StartSidecar } from "./session.ts";

const help: HelpPage = {
  name: "run",
  summary: "Serves the state API on this machine and runs an app beside it; ends when either ends.",
  usage: "run [flags] [--] [COMMAND...]",
  flags: flagRows(RUN_FLAGS, SHOWN_RUN_FLAGS),
  notes: [
    "The first word that is no flag begins the command; all behind it is left as it stands. The flags of `dapr run` and of `pannier sidecar` are taken too. Without manifests, a first one is written to .pannier/components.",
  ],
  examples: [
    "pannier run",
    "pannier run --app-id orders --app-port 3000 -- node app.js",
    "pannier run -a orders -d ./components npm start",
  ],
};

const startSidecar: StartSidecar = async (settings, host) =>
  (await import("#sidecar/sidecar.ts")).startSidecar(settings, host);

/** Gives the app's exit code, or one of our own. `start` is another one only in tests. */
export async function run(argv: readonly string[], host: Host, start: StartSidecar = startSidecar): Promise<number> {
  const parsed = parseArguments(RUN_GRAMMAR, argv);
  if ("error" in parsed) return complain(host, "run", parsed.error);
  if (parsed.values.help || parsed.values.version) {
    host.stdout.write(parsed.values.help ? verbHelp(help) : VERSION_LINE);
    return EXIT_OK;
  }
  if (parsed.words[0] === "") return complain(host, "run", 'the command is ""; want a program to start');
  try {
    return await new Session(await makePlan(parsed, host), host, start).run();
  } catch (error) {
    if (!(error instanceof RunFailure)) throw error;
    host.stderr.write(`pannier run: ${error.message}\n`);
    return error.exitCode;
  }
}

export const verb: Verb = { help, main: (argv, host) => run(argv, host) };
