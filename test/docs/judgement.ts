// A manifest's text, judged as `pannier check` does. Knows no page.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "#cli/check.ts";

export interface Judgement {
  /** The exit code of `pannier check`. */
  readonly code: number;
  /** Its report as text, without the path of the file. */
  readonly report: string;
}

/** What docs/stores/pluggable.md has a manifest of. */
const PLUGGABLE = ["state.my-store"];

export async function judge(manifest: string): Promise<Judgement> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-judgement-"));
  const path = join(folder, "manifest.yaml");
  let report = "";
  const write = (piece: string): void => {
    report += piece;
  };
  try {
    await writeFile(path, manifest);
    const code = await check([path], { output: "text", write, pluggable: PLUGGABLE });
    return { code, report: report.replaceAll(`${folder}/`, "") };
  } finally {
    await rm(folder, { recursive: true });
  }
}
