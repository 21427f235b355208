import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFiles, PUBLISH_WAIT_MS, READ_MS } from "#operator/certificates/files.ts";
import { issueAuthority, issueLeaf, type Pair } from "#operator/certificates/issue.ts";
import { handshake, serve } from "./handshake.ts";
import { JumpClock } from "./jump-clock.ts";
import { keepLog } from "./log-lines.ts";

const HOUR_MS = 3_600_000;
const FILES = ["tls.crt", "tls.key", "ca.crt"];
const good = { fromMs: Date.now() - HOUR_MS, untilMs: Date.now() + HOUR_MS };
const past = { fromMs: good.fromMs, untilMs: Date.now() - 60_000 };
const firstCa = await issueAuthority(good);
const otherName = await issueLeaf(["other"], firstCa, good);
const expired = await issueLeaf(["localhost"], firstCa, past);
const files = await content(firstCa);

/** A folder as a kubelet mounts a Secret: files are links through `..data`, which is swapped in one step. */
class Mount {
  readonly folder: string;
  #version = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  async put(content: Readonly<Record<string, string>>): Promise<void> {
    const name = `..version-${++this.#version}`;
    await mkdir(join(this.folder, name));
    for (const [file, text] of Object.entries(content)) await writeFile(join(this.folder, name, file), text);
    await symlink(name, join(this.folder, "..data_tmp"));
    await rename(join(this.folder, "..data_tmp"), join(this.folder, "..data"));
    if (this.#version > 1) return;
    for (const file of FILES) await symlink(join("..data", file), join(this.folder, file));
  }
}

async function content(ca: Pair): Promise<Readonly<Record<string, string>>> {
  return filesOf(ca, await issueLeaf(["localhost"], ca, good));
}

function filesOf(ca: Pair, leaf: Pair): Readonly<Record<string, string>> {
  return { "tls.crt": leaf.certificatePem, "tls.key": leaf.keyPem, "ca.crt": ca.certificatePem };
}

describe("certificates from a mounted folder", () => {
  let mount: Mount;
  let published: string;
  const clock = new JumpClock(Date.now());
  const { log, lines } = keepLog();
  const open = (): ReturnType<typeof openFiles> =>
    openFiles({ folder: mount.folder, names: ["localhost"], isPublished: (pem) => pem === published, clock, log });
  beforeEach(async () => {
    mount = new Mount(await mkdtemp(join(tmpdir(), "pannier-mount-")));
    published = firstCa.certificatePem;
    lines.length = 0;
  });
  afterEach(() => rm(mount.folder, { recursive: true }));

  it("are served, and followed when the Secret changes", async () => {
    await mount.put(await content(firstCa));
    const source = await open();
    const { server, port } = await serve(source);
    try {
      assert.equal(await handshake(port, firstCa.certificatePem), null);
      const renewed = await content(firstCa);
      await mount.put(renewed);
      await source.look();
      assert.equal(source.current.certificatePem, renewed["tls.crt"]);
      assert.equal(await handshake(port, firstCa.certificatePem), null);
      assert.equal(source.trustAnchors, firstCa.certificatePem);
    } finally {
      server.close();
      await source.close();
    }
  });

  it("are followed without being asked", async () => {
    await mount.put(await content(firstCa));
    const source = await open();
    try {
      await source.look();
      const told = new Promise<void>((resolve) => source.onChange(resolve));
      const renewed = await content(firstCa);
      await mount.put(renewed);
      await clock.advance(READ_MS);
      await told;
      await source.look();
      assert.equal(source.current.keyPem, renewed["tls.key"]);
    } finally {
      await source.close();
    }
  });

  it("under a new CA are served once the caBundle has that CA, or after a minute", async () => {
    await mount.put(await content(firstCa));
    const source = await open();
    try {
      for (const isWritten of [true, false]) {
        const before = source.current.certificatePem;
        const ca = await issueAuthority(good);
        await mount.put(await content(ca));
        await source.look();
        assert.ok(source.trustAnchors.startsWith(ca.certificatePem));
        assert.ok(source.trustAnchors.includes(firstCa.certificatePem));
        assert.equal(source.current.certificatePem, before);
        if (isWritten) published = source.trustAnchors;
        else await clock.advance(PUBLISH_WAIT_MS);
        await source.look();
        assert.notEqual(source.current.certificatePem, before);
      }
    } finally {
      await source.close();
    }
  });

  it("stay the last good ones while the folder holds half a pair, and that is told once", async () => {
    const first = await content(firstCa);
    await mount.put(first);
    const source = await open();
    try {
      await mount.put({ ...first, "tls.key": (await content(firstCa))["tls.key"] ?? "" });
      await source.look();
      await source.look();
      assert.equal(source.current.certificatePem, first["tls.crt"]);
      assert.equal(lines.filter((line) => line.includes("tls.key: want the private key of tls.crt")).length, 1);
      await unlink(join(mount.folder, "ca.crt"));
      await source.look();
      assert.equal(source.current.certificatePem, first["tls.crt"]);
      assert.equal(
        lines.some((line) => line.includes("PRIVATE")),
        false,
      );
    } finally {
      await source.close();
    }
  });

  const wrong: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
    ["no certificate", { ...files, "tls.crt": "" }, /tls\.crt: want certificates in PEM/],
    ["no CA", { ...files, "ca.crt": "" }, /ca\.crt: want the CA's certificate in PEM/],
    ["no key", { ...files, "tls.key": "?" }, /tls\.key: want the private key of tls\.crt in PEM/],
    ["another name", filesOf(firstCa, otherName), /is not for localhost: add it to the DNS/],
    ["an expired certificate", filesOf(firstCa, expired), /has expired at 20/],
    ["a huge file", { ...files, "ca.crt": "x".repeat(300_000) }, /ca\.crt: want at most 262144 char/],
  ];
  for (const [name, wrongFiles, sentence] of wrong) {
    it(`are refused at the start with a sentence for ${name}`, async () => {
      await mount.put(wrongFiles);
      await assert.rejects(open(), sentence);
    });
  }
});
