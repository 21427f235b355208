// What the chart holds a copy of, since Helm reads no file outside of a chart's folder. Writes nothing.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("..", import.meta.url));
export const CHART: string = `${ROOT}charts/pannier`;
const POLICY = "admission-policy.yaml";

/** Text by its path in the chart's folder: every manifest of crds/, as it stands there. */
export function copies(): ReadonlyMap<string, string> {
  const names = readdirSync(`${ROOT}crds`).filter((name) => name.endsWith(".yaml"));
  return new Map(
    names.sort().map((name) => {
      const path = name === POLICY ? `files/${POLICY}` : `files/crds/${name}`;
      return [path, readFileSync(`${ROOT}crds/${name}`, "utf8")];
    }),
  );
}
