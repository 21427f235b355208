#!/usr/bin/env bash
# up-node.sh [--attached] [IMAGE.tar...]: a real single node, as root: etcd, kube-apiserver, kube-controller-manager,
# kube-scheduler, containerd, kubelet, kube-proxy and CoreDNS (where it is built), all in a network namespace
# of their own, so that bridges, NAT rules and ports never touch this machine's. Images are imported before
# the kubelet starts. Prints the variables to eval; down.sh ends it.
#
# --attached: prints "ready" instead, stays, and takes everything down when its standard input ends, so that
# a node never outlives the process that asked for it, however that ended.
#
# up-node.sh --check: only says what keeps this machine from running one; ends with 1 when something does.
#
# From this machine the node is 10.250.0.2, and pod and Service addresses are routed to it. Nothing is routed
# further: the cluster has no way out.
set -euo pipefail

# --- what a machine must have -----------------------------------------------------------------
missing() {
  local command
  [ "$(id -u)" = 0 ] || echo "root"
  for command in containerd ctr runc nft iptables conntrack ip nsenter jq openssl node; do
    command -v "$command" >/dev/null || echo "the command $command"
  done
  [ -x "${CNI_BIN:-/usr/lib/cni}/ptp" ] || echo "the CNI plugins in ${CNI_BIN:-/usr/lib/cni} (Debian: containernetworking-plugins)"
  if [ "$(id -u)" = 0 ]; then
    { ip netns add pannier-bed-probe && ip netns delete pannier-bed-probe; } 2>/dev/null || echo "the right to make a network namespace"
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
      grep -q memory /sys/fs/cgroup/cgroup.controllers || echo "the memory controller of cgroup v2"
      [ -w /sys/fs/cgroup/cgroup.subtree_control ] || echo "a writable /sys/fs/cgroup"
    else
      [ -w /sys/fs/cgroup/memory ] || echo "a writable /sys/fs/cgroup/memory"
    fi
  fi
}
lacks=$(missing)
if [ -n "$lacks" ]; then
  printf 'test bed: no node can run here; missing: %s\n' "$(paste -sd, <<<"$lacks" | sed 's/,/, /g')" >&2
  exit 1
fi
[ "${1:-}" != --check ] || exit 0
attached=false
if [ "${1:-}" = --attached ]; then attached=true; shift; fi

. "$(dirname "$0")/lib.sh"
export BED_DIR
[ ${#BED_DIR} -le 60 ] || die "BED_DIR is too long for the path of containerd's socket: $BED_DIR"
SERVER=https://$NODE_IP:6443

# --- network ----------------------------------------------------------------------------------
[ ! -e "/run/netns/$NETNS" ] || die "the network namespace $NETNS is in use: end that bed with down.sh"
trap '[ "$?" = 0 ] || "$HERE/down.sh"' EXIT
# The kubelet sets some kernel parameters of the whole machine; down.sh puts back what was there.
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  [ ! -e "/proc/sys/$name" ] || echo "$name $(cat "/proc/sys/$name")"
done >"$BED_DIR/sysctl.saved"
ip netns add "$NETNS"
# Not `ip netns exec`: that mounts a fresh /sys, and with it hides /sys/fs/cgroup.
IN_NETNS=(nsenter "--net=/run/netns/$NETNS")
ip link add bed-host type veth peer name bed-node netns "$NETNS"
ip addr add "$HOST_IP/30" dev bed-host
ip link set bed-host up
"${IN_NETNS[@]}" sh -ec "
  ip link set lo up
  ip addr add $NODE_IP/30 dev bed-node
  ip link set bed-node up
  ip route add default via $HOST_IP
  echo 1 >/proc/sys/net/ipv4/ip_forward"
ip route add "$SERVICE_CIDR" via "$NODE_IP"
ip route add "$POD_CIDR" via "$NODE_IP"

# --- control plane ----------------------------------------------------------------------------
start_etcd 2379
start_apiserver 2379 0.0.0.0 "$NODE_IP" 6443 --enable-admission-plugins NodeRestriction

# --- containerd -------------------------------------------------------------------------------
mkdir -p "$BED_DIR"/{cni,kubelet,pods,images,pause}
cat >"$BED_DIR/cni/10-bed.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "bed", "plugins": [
  {"type": "ptp", "mtu": 1500, "ipam": {"type": "host-local", "dataDir": "$BED_DIR/cni-state",
   "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
cat >"$BED_DIR/containerd.toml" <<TOML
version = 2
root = "$BED_DIR/containerd/root"
state = "$BED_DIR/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$BED_DIR/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "bed.local/pause:1"
  restrict_oom_score_adj = true # without CAP_SYS_RESOURCE a score cannot be lowered
  disable_apparmor = true
  stream_server_address = "$NODE_IP"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${CNI_BIN:-/usr/lib/cni}"
    conf_dir = "$BED_DIR/cni"
TOML
start containerd containerd --config "$BED_DIR/containerd.toml"
in_containerd() { ctr --address "$BED_DIR/containerd.sock" --namespace k8s.io "$@"; }
wait_for containerd 30 in_containerd version
cp "$(binary pause)" "$BED_DIR/pause/pause"
"$HERE/mkimage.sh" "$BED_DIR/images/pause.tar" bed.local/pause:1 "$BED_DIR/pause" /pause
for archive in "$BED_DIR/images/pause.tar" "$@"; do in_containerd images import "$archive" >/dev/null; done
mark "containerd is up, images are imported"
wait_for kube-apiserver 120 ready
mark "the API server is ready"

# --- node -------------------------------------------------------------------------------------
start_controllers "$SERVER" 10257
make_kubeconfig kube-scheduler /CN=system:kube-scheduler "$SERVER"
start kube-scheduler "$(binary kube-scheduler)" --kubeconfig "$BED_DIR/kube-scheduler.kubeconfig" \
  --leader-elect=false --bind-address 127.0.0.1 --profiling=false

dns=$(binary coredns 2>/dev/null || true) # names inside pods need it, nothing else does
make_kubeconfig kubelet "/O=system:nodes/CN=system:node:$NODE_NAME" "$SERVER"
if [ -n "$dns" ]; then echo "nameserver $NODE_IP"; fi >"$BED_DIR/resolv.conf"
cat >"$BED_DIR/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
failCgroupV1: false # machines of CI may still have it
failSwapOn: false
containerRuntimeEndpoint: unix://$BED_DIR/containerd.sock
clusterDomain: cluster.local
clusterDNS: [$DNS_IP]
resolvConf: $BED_DIR/resolv.conf
podLogsDir: $BED_DIR/pods
healthzBindAddress: 127.0.0.1
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
maxOpenFiles: 4096
YAML
start kubelet "$(binary kubelet)" --config "$BED_DIR/kubelet.yaml" --kubeconfig "$BED_DIR/kubelet.kubeconfig" \
  --hostname-override "$NODE_NAME" --node-ip "$NODE_IP" --root-dir "$BED_DIR/kubelet" --cert-dir "$PKI/kubelet"

make_kubeconfig kube-proxy /CN=system:kube-proxy "$SERVER"
cat >"$BED_DIR/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ${BED_PROXY_MODE:-nftables}
hostnameOverride: $NODE_NAME
clusterCIDR: $POD_CIDR
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
clientConnection: {kubeconfig: $BED_DIR/kube-proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s} # read-only in a namespace
YAML
start kube-proxy "$(binary kube-proxy)" --config "$BED_DIR/kube-proxy.yaml"

# --- DNS: a process on the node, behind the usual address ---------------------------------------
if [ -n "$dns" ]; then
  make_kubeconfig coredns /O=system:masters/CN=coredns "$SERVER"
  cat >"$BED_DIR/Corefile" <<CORE
.:53 {
  bind $NODE_IP
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $BED_DIR/coredns.kubeconfig bed
  }
  cache 5
}
CORE
  start coredns "$dns" -conf "$BED_DIR/Corefile"
  k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: $DNS_IP
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns-bed, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
endpoints: [{addresses: [$NODE_IP]}]
YAML
fi

wait_for kubelet 90 k wait --for=condition=Ready "node/$NODE_NAME" --timeout=1s
wait_for kube-controller-manager 60 k -n default get serviceaccount default
mark "the node is ready"
if $attached; then
  echo ready
  cat >/dev/null
  exec "$HERE/down.sh" --wipe
fi
echo "export BED_DIR=$BED_DIR KUBECONFIG=$BED_DIR/admin.kubeconfig"
