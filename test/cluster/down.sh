#!/usr/bin/env bash
# down.sh [--wipe]: ends what up-api.sh or up-node.sh started in $BED_DIR, and takes away its mounts, cgroups,
# network namespace and routes. Nobody else's process is touched. The folder stays unless --wipe is given.
[ -n "${BED_DIR:-}" ] || { echo "down.sh: set BED_DIR to the folder that the up script printed" >&2; exit 2; }
[ -d "$BED_DIR" ] || exit 0
. "$(dirname "$0")/lib.sh"
set +e # one thing that is gone already must not keep the rest
in_containerd() { ctr --address "$BED_DIR/containerd.sock" --namespace k8s.io "$@"; }

for name in kubelet kube-proxy coredns kube-scheduler kube-controller-manager; do stop "$name" & done
wait
if alive containerd; then
  spaces=$(for id in $(in_containerd containers list -q); do in_containerd containers info "$id"; done |
    jq -r '.Spec.linux.namespaces[]? | select(.type == "network").path // empty' | sort -u |
    grep '^/var/run/netns/cni-\|^/run/netns/cni-')
  for id in $(in_containerd tasks list -q); do in_containerd tasks delete --force "$id" >/dev/null 2>&1; done
  for id in $(in_containerd containers list -q); do in_containerd containers delete "$id" >/dev/null 2>&1; done
  for path in $spaces; do umount "$path" 2>/dev/null; rm -f "$path"; done
fi
stop containerd
# Shims outlive containerd; this bed's carry its socket on their command line.
if [ -e "$BED_DIR/containerd.toml" ]; then
  for d in /proc/[0-9]*; do
    if { tr '\0' ' ' <"$d/cmdline"; } 2>/dev/null | grep -q "containerd-shim.*-address $BED_DIR/containerd.sock"; then kill -9 "${d#/proc/}"; fi
  done
fi
stop kube-apiserver # before etcd: without that it takes its whole grace period
stop etcd

awk -v d="$BED_DIR/" 'index($2, d) == 1 { print $2 }' /proc/self/mounts | sort -r |
  while read -r mount; do umount "$mount" || umount -l "$mount"; done
if [ -e "$BED_DIR/sysctl.saved" ]; then
  while read -r name value; do echo "$value" >"/proc/sys/$name"; done <"$BED_DIR/sysctl.saved" 2>/dev/null
  for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ ! -d "$root/kubepods" ] || find "$root/kubepods" -depth -type d -exec rmdir {} + 2>/dev/null
  done
  ip link delete bed-host 2>/dev/null
  ip netns delete "$NETNS"
  rm -f "$BED_DIR/sysctl.saved"
fi
[ "${1:-}" != --wipe ] || rm -rf --one-file-system "$BED_DIR"
exit 0
