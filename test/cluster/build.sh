#!/usr/bin/env bash
# build.sh [COMPONENT...]: compiles what the cache lacks, from source through the Go module proxy, and
# prints the directory of the binaries. Knows nothing of running them.
#
#   API bed:   kube-apiserver kube-controller-manager kubectl      (the default)
#   node bed:  + kube-scheduler kubelet kube-proxy pause coredns
#   charts:    helm
#   etcd:      only where the machine has none of its own (Debian: etcd-server)
#
# The versions are those of tools/*/go.mod. One component at a time under a lock, since linking one takes
# nearly 2 GiB; to a name of its own first, so that an interrupted build leaves nothing half-made.
. "$(dirname "$0")/settings.sh"
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false -mod=readonly"

[ $# -gt 0 ] || set -- kube-apiserver kube-controller-manager kubectl
mkdir -p "$BED_BIN"

# compile COMPONENT MODULE_DIR PACKAGE LDFLAGS
compile() {
  half="$BED_BIN/.$1.$$"
  (cd "$2" && nice -n 10 go build -trimpath -ldflags "-s -w $4" -o "$half" "$3")
  mv "$half" "$BED_BIN/$1-$(component_version "$1")"
}

# The version flags matter: without them the server calls itself v0.0.0-master, and helm takes every
# cluster to be v1.20, so that a chart's kubeVersion is judged wrongly.
build() {
  local minor=${KUBERNETES_VERSION#v1.} flags="" of
  minor=${minor%%.*}
  case $1 in
  kube-* | kubectl | kubelet)
    of=k8s.io/component-base/version
    flags="-X $of.gitVersion=$KUBERNETES_VERSION -X $of.gitMajor=1 -X $of.gitMinor=$minor -X $of.gitTreeState=clean"
    compile "$1" "$TOOLS/kubernetes" "k8s.io/kubernetes/cmd/$1" "$flags" ;;
  helm)
    of=helm.sh/helm/v3
    flags="-X $of/internal/version.version=$(component_version helm)"
    flags="$flags -X $of/pkg/chartutil.k8sVersionMajor=1 -X $of/pkg/chartutil.k8sVersionMinor=$minor"
    compile helm "$TOOLS/helm" helm.sh/helm/v3/cmd/helm "$flags" ;;
  etcd) compile etcd "$TOOLS/etcd" go.etcd.io/etcd/server/v3 "" ;;
  coredns) compile coredns "$TOOLS/coredns" github.com/coredns/coredns "" ;;
  pause) compile pause "$TOOLS/pause" . "" ;;
  *) die "unknown component $1; known: kube-apiserver kube-controller-manager kubectl kube-scheduler kubelet kube-proxy pause coredns helm etcd" ;;
  esac
}

for component in "$@"; do
  built="$component-$(component_version "$component")"
  (
    flock 9
    trap 'rm -f "${half:-}"' EXIT
    [ ! -x "$BED_BIN/$built" ] || exit 0
    command -v go >/dev/null || die "$component is not in $BED_BIN, and there is no go (1.24 or newer) on PATH to build it with"
    began=$SECONDS
    say "building $built (minutes, once)"
    build "$component"
    say "built $built in $((SECONDS - began)) s, $(($(stat -c %s "$BED_BIN/$built") >> 20)) MiB"
  ) 9>"$BED_BIN/.lock"
  ln -sfn "$built" "$BED_BIN/$component"
done
echo "$BED_BIN"
