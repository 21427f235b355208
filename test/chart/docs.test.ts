// What docs/kubernetes.md and docs/migrating-from-dapr.md tell people to type, and the rights that they list.
import assert from "node:assert/strict";
import { CHART } from "#charts/copies.ts";
import { helm } from "#charts/helm.ts";
import { readPage } from "#test/docs/pages.ts";
import { describeWithHelm, type KubeManifest, render, theHelm } from "./rendered.ts";

const PAGES = ["docs/kubernetes.md", "docs/migrating-from-dapr.md", "examples/kubernetes/README.md"];

/** What `helm upgrade` takes and `helm template` does not, without a meaning for what is rendered. */
const UPGRADE_ONLY = new Set(["--reset-then-reuse-values"]);

/** Command lines that install or upgrade the chart, as words. */
function chartCommands(): readonly { readonly shown: string; readonly words: readonly string[] }[] {
  const blocks = PAGES.flatMap((path) => readPage(path).blocks).filter(({ language }) => language === "console");
  const lines = blocks.flatMap(({ text }) => text.replaceAll(/\\\n\s*/g, "").split("\n"));
  return lines
    .filter((line) => /^helm (install|upgrade) pannier charts\/pannier /.test(line))
    .map((shown) => ({ shown, words: shown.split(" ").map((word) => word.replaceAll("'", "")) }));
}

describeWithHelm("what the pages on Kubernetes say", () => {
  const commands = chartCommands();

  it("installs and upgrades the chart in several ways", () => {
    assert.ok(commands.length >= 6);
  });

  for (const { shown, words } of commands) {
    it(`is taken by Helm: ${shown}`, async () => {
      const [, , release = "", , ...flags] = words;
      const taken = flags.filter((flag) => !UPGRADE_ONLY.has(flag));
      const { status, stderr } = await helm(theHelm(), ["template", release, CHART, ...taken]);
      assert.equal(status, 0, stderr);
    });
  }

  it("lists every right of the chart's roles, and no other", async () => {
    const listed = readPage("docs/kubernetes.md")
      .text.split("\n")
      .filter((line) => /^\| [\w-]+ \| [\w.]+ \| [\w/, ]+ \|[^|]*\| [a-z, ]+ \|/.test(line))
      .map((line) => line.split("|").slice(1, 6).join("|").replaceAll(" ", ""))
      .filter((row) => row !== "role|group|resource|names|verbs");
    const objects = [...(await render()), ...(await render({ secrets: { allNamespaces: true } }))];
    const roles = objects.filter(({ kind }) => kind === "Role" || kind === "ClusterRole");
    assert.deepEqual(listed.sort(), [...new Set(roles.flatMap(rightsOf))].sort());
  });
});

/** Each rule as a row of the table. */
function rightsOf({ metadata, rules }: KubeManifest): readonly string[] {
  const role = metadata.name.replace("pannier-pannier-system-", "");
  return rules.map(({ apiGroups, resources, resourceNames = [], verbs }: Record<string, readonly string[]>) => {
    const names = (resourceNames ?? []).map((name) => (name === "pannier-pannier-system" ? "itsown" : name));
    const group = apiGroups?.[0] === "" ? "core" : apiGroups?.join(",");
    return [role, group, resources?.join(","), names.join(","), verbs?.join(",")].join("|");
  });
}
