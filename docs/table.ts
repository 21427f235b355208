// The Markdown tables of the pages, and how a default stands in them. Knows nothing of what is in them.
import { formatMs } from "#kit/duration.ts";

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `|${cells.map((cell) => (cell === "" ? " " : ` ${cell} `)).join("|")}|`;
  const lines = rows.map((cells) => line(cells.map((cell) => cell.replaceAll("|", "\\|"))));
  return `${[line(head), `|${"---|".repeat(head.length)}`, ...lines].join("\n")}\n`;
}

/** A duration is in milliseconds here; empty where nothing is the default. */
export function shownDefault(kind: string, fallback: unknown): string {
  if (fallback === null || fallback === "" || (Array.isArray(fallback) && fallback.length === 0)) return "";
  return kind === "duration" && typeof fallback === "number" ? `\`${formatMs(fallback)}\`` : `\`${String(fallback)}\``;
}
