// docs/sdks.md, the folders of examples/ and the tests here name the same SDKs, in the versions that are locked.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { ROOT } from "#test/docs/pages.ts";
import { NOT_CLONED } from "./clone.ts";
import { EXAMPLES, PAGE, sdkRows } from "./sdk-page.ts";

/** Where an example locks its SDK. */
const LOCKS: Readonly<Record<string, (packageName: string, version: string) => readonly [path: string, text: string]>> =
  {
    javascript: (name, version) => ["package.json", `"${name}": "${version}"`],
    python: (name, version) => ["requirements.txt", `\n${name}==${version}\n`],
    go: (name, version) => ["go.mod", `${name} v${version}\n`],
    java: (name, version) => [
      "pom.xml",
      `<artifactId>${name.split(":")[1]}</artifactId>\n      <version>${version}</version>`,
    ],
    dotnet: (name, version) => ["State.csproj", `Include="${name}" Version="[${version}]"`],
  };

/** What the programs share, and what is for a cluster. */
const NO_SDK: readonly string[] = ["components", "kubernetes"];

describe("examples/", () => {
  const rows = sdkRows();
  const folders = readdirSync(EXAMPLES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !NO_SDK.includes(entry.name))
    .map(({ name }) => name)
    .sort();

  it(`has a folder and a test for each SDK of ${PAGE}, and no other`, () => {
    assert.deepEqual(rows.map(({ folder }) => folder).sort(), folders);
    assert.deepEqual(
      folders.filter((folder) => !existsSync(`${ROOT}test/sdks/${folder}.test.ts`)),
      [],
    );
  });

  for (const { folder, packageName, version } of rows) {
    it(`locks ${packageName} in the version that ${PAGE} names`, () => {
      const [path, text] = LOCKS[folder]?.(packageName, version) ?? ["", ""];
      const locked = readFileSync(`${EXAMPLES}${folder}/${path}`, "utf8");
      assert.ok(locked.includes(text), `${folder}/${path} does not say: ${text.trim()}`);
    });
  }

  it("leaves nothing of an installation to git", () => {
    const ignored = readFileSync(`${EXAMPLES}.gitignore`, "utf8").trimEnd().split("\n");
    assert.deepEqual(
      ignored,
      NOT_CLONED.map((name) => `${name}/`),
    );
  });
});
