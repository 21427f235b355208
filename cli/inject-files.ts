// Reads the files of `inject` and `uninject`, hands each pod over and prints what comes of it.
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { EXIT_FAILURE, EXIT_OK, type Host } from "./host.ts";
import { rewrite } from "./inject-documents.ts";
import { changePods, type FoundPod, passedOver } from "./inject-templates.ts";

/** What is done to the pods. */
export interface PodWork {
  /** The verb, for messages. */
  readonly verb: string;
  /** Annotations of the pods that are meant: a text that cannot be read and has none of them passes as it stands. */
  readonly marks: readonly string[];
  /** Gives the pod that is printed, the same one when it stays, and whether all went well; reports in lines. */
  readonly change: (found: FoundPod, report: (line: string) => void) => { pod: unknown; good: boolean };
}

const OWN_KINDS = "pods are looked for in kinds of Kubernetes only";

/** Prints all files as one stream of documents. Gives the exit code: 1 when something was refused or could not be read. */
export async function rewriteFiles(paths: readonly string[], host: Host, work: PodWork): Promise<number> {
  let good = true;
  for (const [index, path] of paths.entries()) {
    const source = await readSource(path, host);
    if ("error" in source) {
      host.stderr.write(`pannier ${work.verb}: ${path}: ${source.error}\n`);
      good = false;
      continue;
    }
    const change = (document: unknown): unknown => {
      const changed = changePods(document, (found) => {
        const done = work.change(found, (line) => void host.stderr.write(`${found.title}: ${line}\n`));
        good &&= done.good;
        return done.pod;
      });
      for (const { title, mark } of passedOver(document, work.marks))
        host.stderr.write(`${title}: left alone: ${mark} stands in it, and ${OWN_KINDS}\n`);
      return changed;
    };
    const result = rewrite(source.text, change, (piece) => work.marks.some((mark) => piece.includes(mark)));
    for (const error of result.errors) host.stderr.write(`pannier ${work.verb}: ${path}: ${error}\n`);
    good &&= result.errors.length === 0;
    const divider = index > 0 && !result.text.startsWith("---") ? "---\n" : "";
    host.stdout.write(`${divider}${result.text}${result.text.endsWith("\n") ? "" : "\n"}`);
  }
  return good ? EXIT_OK : EXIT_FAILURE;
}

async function readSource(path: string, host: Host): Promise<{ text: string } | { error: string }> {
  try {
    return { text: path === "-" ? await text(host.stdin()) : await readFile(path, "utf8") };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
