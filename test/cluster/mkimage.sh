#!/usr/bin/env bash
# mkimage.sh OUT.tar NAME ROOTFS CMD...: a one-layer OCI archive from a folder, as `ctr images import` takes it.
# Optional: IMAGE_USER (uid:gid), IMAGE_WORKDIR, IMAGE_ENV (one NAME=value). For images of tests.
set -euo pipefail
out=$1 name=$2 rootfs=$3; shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blobs=$work/oci/blobs/sha256
mkdir -p "$blobs"
case $(uname -m) in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) architecture=$(uname -m) ;;
esac

# add FILE: move it into the blob store; leaves the digest and the size in $digest and $size.
add() {
  digest=$(sha256sum "$1" | cut -d' ' -f1) size=$(stat -c %s "$1")
  mv "$1" "$blobs/$digest"
}

tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$rootfs" -cf "$work/layer" .
add "$work/layer"; layer=$digest layer_size=$size
jq -n --arg arch "$architecture" --arg layer "sha256:$layer" --arg user "${IMAGE_USER:-}" --arg cwd "${IMAGE_WORKDIR:-/}" --arg env "${IMAGE_ENV:-}" \
  '{architecture: $arch, os: "linux", rootfs: {type: "layers", diff_ids: [$layer]},
    config: {User: $user, WorkingDir: $cwd, Env: (["PATH=/usr/local/bin:/usr/bin:/bin"] + if $env == "" then [] else [$env] end),
             Entrypoint: $ARGS.positional}}' --args "$@" >"$work/config"
add "$work/config"; config=$digest config_size=$size
jq -n --arg c "sha256:$config" --argjson cs "$config_size" --arg l "sha256:$layer" --argjson ls "$layer_size" \
  '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: $cs},
    layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar", digest: $l, size: $ls}]}' >"$work/manifest"
add "$work/manifest"
jq -n --arg d "sha256:$digest" --argjson s "$size" --arg name "$name" --arg arch "$architecture" \
  '{schemaVersion: 2, manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d, size: $s,
    platform: {architecture: $arch, os: "linux"},
    annotations: {"io.containerd.image.name": $name, "org.opencontainers.image.ref.name": ($name | split(":") | last)}}]}' \
  >"$work/oci/index.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
tar -C "$work/oci" -cf "$out" .
