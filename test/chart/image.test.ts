// `npm run image`: the archive is whole, says what it starts, comes out the same twice, and what is in it runs.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CONFIG } from "#image/config.ts";
import { VERSION } from "#kit/version.ts";
import { STORE_TYPES } from "#sidecar/stores/registry.ts";
import { component } from "#test/wire/sidecar.ts";
import { type ReadImage, readImage } from "./archive.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const isLinux = process.platform === "linux";
const isRoot = process.getuid?.() === 0;
const BUILD_WITHIN_MS = 400_000;

(isLinux ? describe : describe.skip)(`the image${isLinux ? "" : " (not run: only Linux can make it)"}`, function () {
  this.timeout(BUILD_WITHIN_MS);

  let folder: string;
  let image: ReadImage;
  const root = (): string => join(folder, "root");
  const chroot = (...argv: string[]) =>
    run("/usr/sbin/chroot", ["--userspec=65532:65532", root(), ...argv], { env: {} });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-image-"));
    const bundle = join(folder, "dist");
    await run(process.execPath, ["build.ts", "--whole", bundle], { cwd: ROOT });
    for (const name of ["one.tar", "two.tar"])
      await run(process.execPath, ["image/main.ts", "--bundle", bundle, "--output", join(folder, name)], { cwd: ROOT });
    await unpack("one.tar", join(folder, "archive"));
    image = readImage(await filesIn(join(folder, "archive")));
    for (const [index, layer] of image.layers.entries()) {
      await writeFile(join(folder, `layer${index}.tar`), layer);
      await unpack(`layer${index}.tar`, root());
    }
  });
  after(() => rm(folder, { recursive: true }));

  async function unpack(archive: string, into: string): Promise<void> {
    await mkdir(into, { recursive: true });
    // Fails for a file that a lower layer has brought already.
    await run("tar", ["--keep-old-files", "-pxf", join(folder, archive), "-C", into]);
  }

  it("has digests, sizes and diff ids that fit, in two layers", () => {
    // readImage has compared them.
    assert.equal(image.layers.length, 2);
  });

  it("is named for containerd and for everybody else", () => {
    assert.deepEqual(image.index.manifests[0]?.annotations, {
      "io.containerd.image.name": `docker.io/library/pannier:${VERSION}`,
      "org.opencontainers.image.ref.name": VERSION,
    });
  });

  it("starts the sidecar as a user without rights", () => {
    assert.deepEqual(image.config.config, { ...CONFIG });
    assert.equal(CONFIG.User, "65532:65532");
    assert.equal(image.config.architecture, { x64: "amd64", arm64: "arm64" }[process.arch as "x64" | "arm64"]);
  });

  it("comes out the same, byte for byte, when it is made again", async () => {
    const [one, two] = await Promise.all(["one.tar", "two.tar"].map((name) => readFile(join(folder, name))));
    assert.ok(one !== undefined && two !== undefined && one.equals(two));
  });

  it("holds the programs, no source map, and the licences", async () => {
    const names = await readdir(join(root(), "app"));
    assert.ok(["pannier.js", "operator.js", "sqlite-worker.js"].every((name) => names.includes(name)));
    assert.deepEqual(
      names.filter((name) => name.endsWith(".map")),
      [],
    );
    for (const path of ["pannier", "node", "debian/libc6", "npm/ioredis/LICENSE"])
      assert.ok((await stat(join(root(), "licenses", path))).isFile(), path);
  });

  it("has the client library of every store", async () => {
    const manifests = join(folder, "manifests");
    await mkdir(manifests);
    for (const type of STORE_TYPES) await writeFile(join(manifests, `${type}.yaml`), component("statestore", type));
    // Far from any node_modules/: what is missing in the bundle is missing.
    const program = join(root(), "app/pannier.js");
    const { stdout } = await run(process.execPath, [program, "check", manifests]).catch(
      (error: { stdout: string }) => error,
    );
    assert.doesNotMatch(stdout, /not installed/);
    for (const type of STORE_TYPES) assert.ok(stdout.includes(`(${type})`) || type === "state.in-memory", type);
  });

  it("has the packages that only some fields ask for", async () => {
    const manifests = join(folder, "signing-in");
    await mkdir(manifests);
    const postgres = {
      connectionString: "host=db user=me",
      awsRegion: "eu-central-1",
      assumeRoleArn: "arn:aws:iam::1:role/r",
    };
    const fields = {
      "state.azure.cosmosdb": { url: "https://account.documents.azure.com", database: "d", collection: "c" },
      "state.gcp.firestore": { project_id: "p" },
      "state.postgresql": { ...postgres, useAWSIAM: "true" },
    };
    for (const [type, each] of Object.entries(fields))
      await writeFile(join(manifests, `${type}.yaml`), component(type.replaceAll(".", "-"), type, each));
    const { stdout } = await run(process.execPath, [join(root(), "app/pannier.js"), "check", manifests]);
    assert.equal(stdout, "3 Components in 3 files: 0 errors, 0 warnings\n");
  });

  it("holds nothing that its user may write but /tmp", async () => {
    const { stdout } = await run("find", [
      root(),
      "(",
      "-perm",
      "-o+w",
      "-o",
      "-perm",
      "-g+w",
      ")",
      "-not",
      "-type",
      "l",
    ]);
    assert.deepEqual(stdout.trim().split("\n"), [join(root(), "tmp")]);
  });

  (isRoot ? it : it.skip)(`runs its programs${isRoot ? "" : " (not run: only root can enter it)"}`, async () => {
    const [program = "", ...args] = CONFIG.Entrypoint;
    assert.match((await chroot(program, ...args, "--version")).stdout, new RegExp(`^pannier ${VERSION} `));
    // As an injected container and as the chart's Deployment start it.
    assert.match((await chroot(program, ...args, "/daprd", "--version")).stdout, new RegExp(VERSION));
    assert.equal((await chroot("/usr/bin/node", "/app/operator.js", "--version")).stdout, `${VERSION}\n`);
    const script = "process.stdout.write(String(process.getuid()) + require('node:os').userInfo().username)";
    assert.equal((await chroot(program, "-e", script)).stdout, "65532nonroot");
  });

  (isRoot ? it : it.skip)(`finds hosts by name${isRoot ? "" : " (not run: only root can enter it)"}`, async () => {
    await writeFile(join(root(), "etc/hosts"), "192.0.2.7 store.example\n");
    const script =
      "require('node:dns').lookup('store.example', (error, found) => process.stdout.write(String(error ?? found)))";
    assert.equal((await chroot("/usr/bin/node", "-e", script)).stdout, "192.0.2.7");
  });
});

describe("the Dockerfile", () => {
  it("says the same as the image of `npm run image`", async () => {
    const text = await readFile(join(ROOT, "Dockerfile"), "utf8");
    // Of its last stage.
    const said = (word: string) => [...text.matchAll(new RegExp(`^${word} (.*)$`, "gm"))].at(-1)?.[1];
    assert.equal(said("ENTRYPOINT"), JSON.stringify(CONFIG.Entrypoint).replaceAll(",", ", "));
    assert.deepEqual(
      [said("USER"), said("WORKDIR"), `${said("ENV")}`],
      [CONFIG.User, CONFIG.WorkingDir, CONFIG.Env[0]],
    );
    for (const [name, value] of Object.entries(CONFIG.Labels)) {
      const shown = name.endsWith(".version") ? "$" + "{VERSION}" : value;
      assert.ok(text.includes(`${name}="${shown}"`), name);
    }
  });
});

/** Every file below a folder by its path in it. */
async function filesIn(folder: string): Promise<ReadonlyMap<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(paths.map(async (path) => [path.slice(folder.length + 1), await readFile(path)] as const)),
  );
}
