// The project's pages as tests read them: fenced blocks, code spans, links, headings. Knows no rule about what stands there.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

export interface Block {
  /** Path of the page from the root, as "docs/cli.md". */
  readonly page: string;
  /** Where the block's fence stands, counted from 1. */
  readonly line: number;
  /** What stands behind the fence; "" for nothing. */
  readonly language: string;
  /** The lines between the fences, with their line ends. */
  readonly text: string;
  /** `<!-- wrong on purpose -->` stands before it. */
  readonly wrongOnPurpose: boolean;
}

export interface Page {
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** Code within a line: what stands between backticks, outside of blocks. */
  readonly spans: readonly string[];
  /** Targets of links, as written. */
  readonly links: readonly string[];
  /** What a link's "#…" may name: the headings, spelled as GitHub does. */
  readonly anchors: ReadonlySet<string>;
}

const WRONG_ON_PURPOSE = "<!-- wrong on purpose -->";
const FENCE = "```";

/** Every page that a reader of the project meets: those at the root and all under docs/. */
export function readPages(): readonly Page[] {
  const docs = readdirSync(`${ROOT}docs`, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".md"));
  const paths = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...docs.map((path) => `docs/${path}`).sort()];
  return paths.map((path) => parsePage(path, readFileSync(ROOT + path, "utf8")));
}

export function readPage(path: string): Page {
  return parsePage(path, readFileSync(ROOT + path, "utf8"));
}

/** Takes a page apart. Throws for a fence that nothing closes. */
export function parsePage(path: string, text: string): Page {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { line: number; language: string; lines: string[]; wrongOnPurpose: boolean } | null = null;
  for (const [index, line] of text.split("\n").entries()) {
    if (!line.startsWith(FENCE)) {
      (open?.lines ?? prose).push(line);
    } else if (open === null) {
      const wrongOnPurpose = prose.findLast((each) => each.trim() !== "") === WRONG_ON_PURPOSE;
      open = { line: index + 1, language: line.slice(FENCE.length), lines: [], wrongOnPurpose };
    } else {
      blocks.push({ page: path, ...open, text: `${open.lines.join("\n")}\n` });
      // So that a mark counts for the next block and not for the one behind it.
      prose.push(FENCE);
      open = null;
    }
  }
  if (open !== null) throw new Error(`${path}:${open.line}: nothing closes this block`);
  return { path, text, blocks, ...readProse(prose) };
}

function readProse(lines: readonly string[]): Pick<Page, "spans" | "links" | "anchors"> {
  const prose = lines.join("\n");
  const headings = lines.filter((line) => /^#+ /.test(line)).map((line) => line.replace(/^#+ /, ""));
  return {
    spans: [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? ""),
    links: [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? ""),
    anchors: new Set(headings.map(anchorOf)),
  };
}

function anchorOf(heading: string): string {
  const kept = heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "");
  return kept.trim().replaceAll(" ", "-");
}
