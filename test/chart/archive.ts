// Reads an OCI archive as a container engine does: every blob by its digest, every layer by its diff id.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ReadImage {
  readonly index: { readonly manifests: readonly Descriptor[] };
  readonly config: {
    readonly architecture: string;
    readonly os: string;
    readonly config: Readonly<Record<string, unknown>>;
    readonly rootfs: { readonly diff_ids: readonly string[] };
  };
  /** Unpacked tars, lowest first. */
  readonly layers: readonly Buffer[];
}

/** Throws an AssertionError where a digest, a size or a diff id does not fit. `files`: the archive, by path. */
export function readImage(files: ReadonlyMap<string, Buffer>): ReadImage {
  const read = ({ digest, size }: Descriptor): Buffer => {
    const bytes = files.get(`blobs/${digest.replace(":", "/")}`);
    assert.ok(bytes !== undefined, digest);
    assert.deepEqual([digestOf(bytes), bytes.length], [digest, size]);
    return bytes;
  };
  const json = <T>(bytes: Buffer | undefined): T => JSON.parse(bytes?.toString() ?? "null");
  assert.deepEqual(json(files.get("oci-layout")), { imageLayoutVersion: "1.0.0" });
  const index = json<ReadImage["index"]>(files.get("index.json"));
  const [top] = index.manifests;
  assert.ok(top !== undefined);
  const manifest = json<{ config: Descriptor; layers: readonly Descriptor[] }>(read(top));
  const config = json<ReadImage["config"]>(read(manifest.config));
  const layers = manifest.layers.map((layer) => gunzipSync(read(layer)));
  assert.deepEqual(layers.map(digestOf), config.rootfs.diff_ids);
  return { index, config, layers };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
