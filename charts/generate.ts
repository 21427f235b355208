// `npm run chart`: brings the chart's copies of crds/ and the manifest for those without Helm up to date. A test compares.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CHART, copies, ROOT } from "./copies.ts";
import { findHelm, MANIFEST, manifest } from "./helm.ts";

await rm(join(CHART, "files/crds"), { recursive: true, force: true });
for (const [path, text] of copies()) await write(join(CHART, path), text);
const program = findHelm();
if (program === null) {
  process.stderr.write(`no Helm 3 here, ${MANIFEST} is left as it was: \`test/cluster/build.sh helm\` compiles one\n`);
} else {
  await write(join(ROOT, MANIFEST), await manifest(program));
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
