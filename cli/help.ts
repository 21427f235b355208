// Help as text, made from the same tables that the parser reads. Prints nothing itself.
import type { Flag, FlagTable } from "#kit/arguments.ts";
import { DAPR_VERSION, VERSION } from "#kit/version.ts";
import { EXIT_USAGE, type FlagRow, type HelpPage, type Host } from "./host.ts";

const LINE_WIDTH = 100;

/** Rows of a flag table for a help page: those of `names`, in that order, or all. */
export function flagRows<S extends object>(table: FlagTable<S>, names?: readonly (keyof S & string)[]): FlagRow[] {
  const flags = table as Readonly<Record<string, Flag<unknown>>>;
  return (names ?? Object.keys(flags)).flatMap((name) => {
    const flag = flags[name];
    return flag === undefined ? [] : [{ ...flag, name }];
  });
}

/** The page of one verb. */
export function verbHelp(page: HelpPage): string {
  const parts = [`${page.summary}\n`, `Usage:\n  pannier ${page.usage}\n`];
  if (page.flags.length > 0) parts.push(`Flags:\n${table(page.flags.map((row) => [flagCell(row), docCell(row)]))}`);
  parts.push(...page.notes.map((note) => `${wrap(note)}\n`));
  parts.push(`Examples:\n${page.examples.map((line) => `  ${line}\n`).join("")}`);
  return parts.join("\n");
}

/** The page that `pannier` alone shows. `verbs`: name and summary. */
export function overview(verbs: readonly (readonly [string, string])[]): string {
  return [
    `Pannier ${VERSION}: a key/value state API beside any process, a drop-in for Dapr's (${DAPR_VERSION}).\n`,
    "Usage:\n  pannier VERB [flags]\n",
    `Verbs:\n${table([...verbs, ["help [VERB]", "show this page, or that of a verb"]])}`,
    `Flags:\n${table([
      ["-h, --help", "show help"],
      ["    --version", "print the version"],
    ])}`,
    "Examples:\n  pannier run\n  pannier run --app-id orders --app-port 3000 -- node app.js\n  pannier check components/\n",
  ].join("\n");
}

/** What --version prints; `pannier sidecar` alone answers as daprd does. */
export const VERSION_LINE: string = `pannier ${VERSION} (Dapr ${DAPR_VERSION})\n`;

/** Says on stderr what is wrong with the command line. Gives the exit code for it. */
export function complain(host: Host, verb: string | null, error: string): number {
  const command = verb === null ? "pannier" : `pannier ${verb}`;
  host.stderr.write(`${command}: ${error}\nTry "${command} --help".\n`);
  return EXIT_USAGE;
}

/** `text` in lines of at most {@link LINE_WIDTH} characters. */
export function wrap(text: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > LINE_WIDTH) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}

function flagCell(row: FlagRow): string {
  const short = row.short === null ? "    " : `-${row.short}, `;
  return `${short}--${row.name}${row.placeholder === "" ? "" : ` ${row.placeholder}`}`;
}

function docCell(row: FlagRow): string {
  return row.shownDefault === "" ? row.doc : `${row.doc} (default ${row.shownDefault})`;
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
}
