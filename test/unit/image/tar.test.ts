// The writer of archives, read back by the machine's own tar.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { complete, type Entry, file, folder } from "#image/entry.ts";
import { tar } from "#image/tar.ts";

const LONG = `${"a".repeat(90)}/${"b".repeat(60)}/${"c".repeat(99)}`;

function listed(entries: readonly Entry[]): string[] {
  const { stdout, stderr, status } = spawnSync("tar", ["--utc", "-tvf", "-"], {
    input: tar(entries),
    encoding: "utf8",
  });
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout.trimEnd().split("\n");
}

describe("tar", () => {
  it("writes modes, sizes, owner 0 and time 0", () => {
    assert.deepEqual(listed([folder("tmp", 0o1777), file("tmp/run", "12345", 0o755)]), [
      "drwxrwxrwt 0/0               0 1970-01-01 00:00 tmp/",
      "-rwxr-xr-x 0/0               5 1970-01-01 00:00 tmp/run",
    ]);
  });

  it("keeps the bytes of a file, also at the edge of a block", () => {
    for (const size of [0, 1, 511, 512, 513]) {
      const bytes = Buffer.alloc(size, "x");
      const { stdout } = spawnSync("tar", ["-xOf", "-", "f"], { input: tar([file("f", bytes)]) });
      assert.deepEqual(stdout, bytes);
    }
  });

  it("cuts a long path at a slash", () => {
    assert.match(listed([file(LONG, "")])[0] ?? "", new RegExp(`${LONG}$`));
  });

  it("refuses a path that does not fit", () => {
    assert.throws(() => tar([file("x".repeat(101), "")]), /too long for a tar archive/);
  });
});

describe("complete", () => {
  it("adds the folders and sorts by path, so that order in is no order out", () => {
    const entries = [file("b/c/d", "1"), file("a", "2")];
    const paths = ["a", "b", "b/c", "b/c/d"];
    assert.deepEqual(
      complete(entries).map(({ path }) => path),
      paths,
    );
    assert.deepEqual(tar(complete(entries)), tar(complete([...entries].reverse())));
  });

  it("refuses two entries for one path", () => {
    assert.throws(() => complete([file("a", "1"), file("a", "2")]), /two entries with the path a/);
  });
});
