// The golden cases: a folder each with the pod as it comes, the pod as it should leave, and what is said about it.
// Knows how a case is read and written, and no rule of injection.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { load } from "js-yaml";
import { yamlText } from "#cli/inject-documents.ts";
import { VERSION } from "#kit/version.ts";
import { decide } from "#operator/inject/decide.ts";
import { defaultSettings, type InjectSettings } from "#operator/inject/settings.ts";

export interface GoldenCase {
  readonly name: string;
  readonly folder: string;
  readonly pod: unknown;
}

/** Of all cases; what a case changes stands in its settings.yaml. */
const SETTINGS: InjectSettings = {
  ...defaultSettings("pannier-system"),
  image: "pannier:golden",
  trustAnchorsPem: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
};

export const NAMESPACE = "shop";

export function goldenCases(): readonly GoldenCase[] {
  const folders = readdirSync(import.meta.dirname, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.map(({ name }) => {
    const folder = `${import.meta.dirname}/${name}`;
    return { name, folder, pod: load(readFileSync(`${folder}/pod.yaml`, "utf8")) };
  });
}

export function settingsOf({ folder }: GoldenCase): InjectSettings {
  const path = `${folder}/settings.yaml`;
  return existsSync(path) ? { ...SETTINGS, ...(load(readFileSync(path, "utf8")) as object) } : SETTINGS;
}

/** want.yaml and report.txt as they come out now; a pod that is left alone is wanted as it came. */
export function outcomeOf(golden: GoldenCase): { readonly want: string; readonly report: string } {
  const decision = decide(golden.pod, NAMESPACE, settingsOf(golden));
  const notes = decision.outcome === "inject" ? decision.notes.map((note) => `note: ${note}`) : [];
  const report = [`${decision.outcome} ${decision.reason}: ${decision.sentence}`, ...notes].join("\n");
  const want = yamlText(decision.outcome === "inject" ? decision.pod : golden.pod);
  // So that a new version does not change every file.
  return { want: want.replaceAll(`injected-by: ${VERSION}`, "injected-by: golden"), report: `${report}\n` };
}
