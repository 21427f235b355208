#!/usr/bin/env bash
# api-server.sh stop|start: the API server of a running API bed ($BED_DIR), on the same port and data.
[ -n "${BED_DIR:-}" ] || { echo "api-server.sh: set BED_DIR to the folder that up-api.sh printed" >&2; exit 2; }
. "$(dirname "$0")/lib.sh"
case ${1:-} in
# It closes its port at once, and would wait long for those who watch.
stop) stop kube-apiserver 2 ;;
start) alive kube-apiserver || start_local_apiserver ;;
*) die "api-server.sh wants stop or start, not \"${1:-}\"" ;;
esac
