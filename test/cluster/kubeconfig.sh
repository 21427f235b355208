#!/usr/bin/env bash
# kubeconfig.sh NAME USER [GROUP...]: writes $BED_DIR/NAME.kubeconfig for a user of a running API bed, known
# by a client certificate, and prints its path.
[ -n "${BED_DIR:-}" ] || { echo "kubeconfig.sh: set BED_DIR to the folder that up-api.sh printed" >&2; exit 2; }
. "$(dirname "$0")/lib.sh"
name=$1 subject=; user=$2; shift 2
for group in "$@"; do subject=$subject/O=$group; done
make_kubeconfig "$name" "$subject/CN=$user" "https://127.0.0.1:$(cut -d' ' -f2 "$BED_DIR/ports")"
echo "$BED_DIR/$name.kubeconfig"
