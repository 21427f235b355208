// PEM files that settings name: what is wrong with one is told by setting and path, and nothing of it is shown.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCertificates, readPemFile } from "#sidecar/stores/sql/pem-files.ts";
import { CUT_PEM, OTHER_PEM, PEM } from "#test/stores/pem.ts";

describe("a PEM file that a setting names", () => {
  let folder: string;
  let path: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-pem-"));
    path = join(folder, "ca.pem");
  });
  after(() => rm(folder, { recursive: true }));

  it("is given as it is when each of its certificates can be read", async () => {
    for (const text of [PEM, `authorities:\n${PEM}${OTHER_PEM}`]) {
      await writeFile(path, text);
      assert.equal(await readCertificates({ setting: "authority", path }), text);
    }
  });

  for (const [what, text, fault] of [
    ["nothing", "", "holds no certificate"],
    ["something else", "hunter2", "holds no certificate"],
    ["a certificate that is cut off", PEM + CUT_PEM, "certificate 2 of 2 cannot be read"],
  ] as const)
    it(`is refused when it holds ${what}`, async () => {
      await writeFile(path, text);
      await assert.rejects(readCertificates({ setting: "authority", path }), {
        name: "StoreError",
        code: "unavailable",
        message: `authority: ${path}: ${fault}`,
      });
    });

  it("is told with what the system says when it cannot be read at all", async () => {
    const nowhere = join(folder, "nowhere");
    await assert.rejects(readPemFile({ setting: "authority", path: nowhere }), {
      code: "unavailable",
      message: `authority: ${nowhere}: ENOENT; give the path of a PEM file that can be read`,
    });
  });
});
