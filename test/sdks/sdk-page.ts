// What docs/sdks.md promises, read from its two tables: which SDK runs which sample, and in which version.
import { ROOT, readPage } from "#test/docs/pages.ts";

export const PAGE = "docs/sdks.md";
export const EXAMPLES: string = `${ROOT}examples/`;

export interface SdkRow {
  /** The folder in examples/. */
  readonly folder: string;
  readonly packageName: string;
  readonly version: string;
}

const lines = readPage(PAGE).text.split("\n");

/** The rows of the table of SDKs. */
export function sdkRows(): readonly SdkRow[] {
  return cellsOf(/^\| \[/).map(([link = "", packageName = "", version = ""]) => ({
    folder: /examples\/([a-z]+)/.exec(link)?.[1] ?? "",
    packageName: packageName.replaceAll("`", ""),
    version,
  }));
}

/** The samples that have a "yes" in this column, in their order. Throws when there is no such column. */
export function samplesOf(column: string): readonly string[] {
  const [head = [], , ...rows] = sampleTable();
  const index = head.indexOf(column);
  if (index < 0) throw new Error(`${PAGE}: no column "${column}"`);
  return rows.filter((cells) => cells[index] === "yes").map(([sample = ""]) => sample);
}

/** All samples, whoever runs them. */
export function allSamples(): readonly string[] {
  return sampleTable()
    .slice(2)
    .map(([sample = ""]) => sample);
}

/** Head, rule and rows of the table of samples. */
function sampleTable(): readonly (readonly string[])[] {
  const start = lines.findIndex((line) => line.startsWith("| sample "));
  const end = lines.indexOf("", start);
  return lines.slice(start, end).map(split);
}

function cellsOf(begins: RegExp): readonly (readonly string[])[] {
  return lines.filter((line) => begins.test(line)).map(split);
}

function split(line: string): readonly string[] {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}
