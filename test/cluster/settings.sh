# Where the test bed's parts are and which versions they have. Sourced, never run; starts nothing and
# makes nothing.
#
# PANNIER_CLUSTER_CACHE   compiled binaries, a directory per Kubernetes version (~/.cache/pannier/cluster)
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOOLS=$HERE/tools

say() { printf 'test bed: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# module_version DIR MODULE: the version that tools/DIR/go.mod requires.
module_version() {
  awk -v module="$2" '{ sub(/^require /, ""); sub(/^[ \t]+/, "") } $1 == module && $2 ~ /^v/ { print $2; exit }' "$TOOLS/$1/go.mod"
}

# component_version COMPONENT
component_version() {
  case $1 in
  helm) module_version helm helm.sh/helm/v3 ;;
  etcd) module_version etcd go.etcd.io/etcd/server/v3 ;;
  coredns) module_version coredns github.com/coredns/coredns ;;
  pause) echo v1 ;;
  *) echo "$KUBERNETES_VERSION" ;;
  esac
}

KUBERNETES_VERSION=$(module_version kubernetes k8s.io/kubernetes)
BED_BIN=${PANNIER_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pannier/cluster}/$KUBERNETES_VERSION
