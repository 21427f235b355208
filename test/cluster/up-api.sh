#!/usr/bin/env bash
# up-api.sh [--attached]: etcd, kube-apiserver and kube-controller-manager on free ports of 127.0.0.1. Needs
# no root and runs no pod. Prints the variables to eval; down.sh ends it.
#
# --attached: prints "ready" instead, stays, and takes everything down when its standard input ends, so that
# a bed never outlives the process that asked for it, however that ended.
. "$(dirname "$0")/lib.sh"
export BED_DIR
# Whatever fails half-way takes its processes with it.
trap '[ "$?" = 0 ] || "$HERE/down.sh"' EXIT

read -r port < <(free_port)
server=https://127.0.0.1:$port
echo "$(free_port) $port" >"$BED_DIR/ports"
start_etcd "$(cut -d' ' -f1 "$BED_DIR/ports")"
start_local_apiserver
# Envtest's assets have none; then no namespace is ever deleted, and nothing is made from a Deployment.
if (binary kube-controller-manager) >/dev/null 2>&1; then
  start_controllers "$server" "$(free_port)"
  wait_for kube-controller-manager 60 k -n default get serviceaccount default
fi
mark "the API server is ready at $server"

if [ "${1:-}" = --attached ]; then
  echo ready
  cat >/dev/null
  exec "$HERE/down.sh" --wipe
fi
echo "export BED_DIR=$BED_DIR KUBECONFIG=$BED_DIR/admin.kubeconfig"
