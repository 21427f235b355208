# Processes, certificates and the control plane of a test bed. Sourced by the scripts beside it, never run.
#
# BED_DIR              all files of one bed; a fresh temporary folder by default. Keep it short: the path of
#                      containerd's socket has to fit in 107 bytes.
# KUBEBUILDER_ASSETS   a folder with binaries that come before those of the cache
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

BED_DIR=${BED_DIR:-$(mktemp -d "${TMPDIR:-/tmp}/pannier-bed.XXXXXX")}
PKI=$BED_DIR/pki LOGS=$BED_DIR/logs RUN=$BED_DIR/run
mkdir -p "$PKI" "$LOGS" "$RUN"

SERVICE_CIDR=10.96.0.0/16
SERVICE_FIRST=10.96.0.1 # the Service "kubernetes"
DNS_IP=10.96.0.10
POD_CIDR=10.244.0.0/24
HOST_IP=10.250.0.1 # this machine's end of the link to the node
NODE_IP=10.250.0.2 # the node's end
NETNS=${BED_NETNS:-pannier-bed}
NODE_NAME=bed

IN_NETNS=() # up-node.sh sets it to "nsenter --net=..."

# binary NAME: its path; only etcd and kubectl may come from PATH.
binary() {
  local folder
  for folder in "${KUBEBUILDER_ASSETS:-}" "$BED_BIN"; do
    if [ -n "$folder" ] && [ -x "$folder/$1" ]; then echo "$folder/$1"; return; fi
  done
  case $1 in
  etcd | kubectl) command -v "$1" && return ;;
  esac
  die "$1 is neither in $BED_BIN nor in KUBEBUILDER_ASSETS: run $HERE/build.sh $1"
}

# --- processes --------------------------------------------------------------------------------

# start NAME CMD...: runs it in the background with a log; remembers its pid and start time.
start() {
  local name=$1; shift
  setsid ${IN_NETNS[@]+"${IN_NETNS[@]}"} "$@" >>"$LOGS/$name.log" 2>&1 </dev/null &
  local pid=$!
  printf '%s %s\n' "$pid" "$(started_at "$pid")" >"$RUN/$name.pid"
}

# The start time of a process; nothing for one that is gone or a zombie, since process 1 of a container or
# of a small virtual machine may be slow to reap.
started_at() { sed -n 's/.*) //; /^Z/!p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20 || true; }

# alive NAME: succeeds while the very process that start() made is there; a pid alone may be another's by now.
alive() {
  local pid at
  read -r pid at 2>/dev/null <"$RUN/$1.pid" || return 1
  [ -n "$at" ] && [ "$(started_at "$pid")" = "$at" ]
}

# stop NAME [SECONDS]: TERM, then KILL after so long (15).
stop() {
  local pid at i
  if alive "$1"; then
    read -r pid at <"$RUN/$1.pid"
    kill "$pid" 2>/dev/null || true
    for i in $(seq $((${2:-15} * 10))); do alive "$1" || break; sleep 0.1; done
    if alive "$1"; then kill -9 "$pid" 2>/dev/null || true; fi
  fi
  rm -f "$RUN/$1.pid"
}

# wait_for NAME SECONDS CMD...: polls until CMD succeeds; fails early when process NAME has ended.
wait_for() {
  local name=$1 until=$((SECONDS + $2)); shift 2
  until "$@" >/dev/null 2>&1; do
    if [ -e "$RUN/$name.pid" ] && ! alive "$name"; then
      tail -n 20 "$LOGS/$name.log" >&2; die "$name ended"
    fi
    [ "$SECONDS" -lt "$until" ] || { tail -n 20 "$LOGS/$name.log" >&2; die "$name: not ready in time"; }
    sleep 0.1
  done
}

# free_port: from the range of test/servers/free-port.ts, which the system gives to no connection: a server that starts again
# finds its port free.
free_port() {
  node -e '
    const { createServer } = require("node:net");
    const attempt = (left) => {
      const port = 12000 + require("node:crypto").randomInt(18000);
      const server = createServer().once("error", (error) => { if (left === 0) throw error; attempt(left - 1); });
      server.listen(port, "127.0.0.1", () => server.close(() => console.log(port)));
    };
    attempt(100);'
}

KUBECTL=$(binary kubectl)
BEGAN=$(date +%s%N)
mark() { say "$(printf '%6d ms  %s' $((($(date +%s%N) - BEGAN) / 1000000)) "$1")"; }

# --- certificates -----------------------------------------------------------------------------

make_ca() {
  [ ! -e "$PKI/ca.crt" ] || return 0
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -keyout "$PKI/ca.key" -out "$PKI/ca.crt" -subj /CN=pannier-bed 2>/dev/null
  openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/sa.key"
  openssl ec -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub" 2>/dev/null
}

# make_cert NAME SUBJECT [SAN]: for a server when SAN is given, else for a client. One that is there stays.
make_cert() {
  local extensions="extendedKeyUsage=clientAuth"
  [ ! -e "$PKI/$1.crt" ] || return 0
  [ -z "${3:-}" ] || extensions="extendedKeyUsage=serverAuth
subjectAltName=$3"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$PKI/$1.key" -out "$PKI/$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -days 3650 \
    -set_serial "0x$(openssl rand -hex 12)" -extfile <(printf '%s\n' "$extensions") -out "$PKI/$1.crt" 2>/dev/null
  rm -f "$PKI/$1.csr"
}

# make_kubeconfig NAME SUBJECT SERVER: a client certificate, and $BED_DIR/NAME.kubeconfig with it.
make_kubeconfig() {
  make_cert "$1" "$2"
  (umask 077; cat >"$BED_DIR/$1.kubeconfig") <<YAML
apiVersion: v1
kind: Config
clusters: [{name: bed, cluster: {server: "$3", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$PKI/$1.crt"), client-key-data: $(base64 -w0 "$PKI/$1.key")}}]
contexts: [{name: bed, context: {cluster: bed, user: $1}}]
current-context: bed
YAML
}

# --- control plane ----------------------------------------------------------------------------

# start_etcd PORT
start_etcd() {
  local etcd extra=()
  etcd=$(binary etcd)
  # A throw-away etcd need not reach the disk; Debian's 3.4 does not know the flag.
  case $("$etcd" --help 2>&1) in *--unsafe-no-fsync*) extra=(--unsafe-no-fsync) ;; esac
  start etcd "$etcd" --name bed --data-dir "$BED_DIR/etcd" ${extra[@]+"${extra[@]}"} \
    --listen-client-urls "http://127.0.0.1:$1" --advertise-client-urls "http://127.0.0.1:$1" \
    --listen-peer-urls http://127.0.0.1:0 --log-level warn
}

# start_apiserver ETCD_PORT BIND ADVERTISE PORT EXTRA...
start_apiserver() {
  local etcd_port=$1 bind=$2 advertise=$3 port=$4 program; shift 4
  program=$(binary kube-apiserver)
  local names=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
  make_ca
  make_cert apiserver /CN=kube-apiserver "$names,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$SERVICE_FIRST,IP:$NODE_IP"
  make_kubeconfig admin /O=system:masters/CN=bed-admin "https://$advertise:$port"
  make_cert apiserver-kubelet /O=system:masters/CN=apiserver-kubelet
  start kube-apiserver "$program" \
    --etcd-servers "http://127.0.0.1:$etcd_port" \
    --bind-address "$bind" --advertise-address "$advertise" --secure-port "$port" \
    --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" --client-ca-file "$PKI/ca.crt" \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$PKI/sa.pub" --service-account-signing-key-file "$PKI/sa.key" \
    --service-cluster-ip-range "$SERVICE_CIDR" --authorization-mode Node,RBAC --allow-privileged=true \
    --kubelet-client-certificate "$PKI/apiserver-kubelet.crt" --kubelet-client-key "$PKI/apiserver-kubelet.key" \
    --kubelet-preferred-address-types InternalIP --profiling=false "$@"
}

# start_local_apiserver: on the ports that up-api.sh has chosen, the first time and again.
start_local_apiserver() {
  local etcd_port port
  read -r etcd_port port <"$BED_DIR/ports"
  # On a loopback address the endpoint reconciler would fail for ever.
  start_apiserver "$etcd_port" 127.0.0.1 127.0.0.1 "$port" --endpoint-reconciler-type none
  wait_for kube-apiserver 120 ready
}

# start_controllers SERVER PORT. The client limits are for a bed of seconds: with the defaults its first
# service account takes five of them.
start_controllers() {
  local program
  program=$(binary kube-controller-manager)
  make_kubeconfig kube-controller-manager /CN=system:kube-controller-manager "$1"
  start kube-controller-manager "$program" \
    --kubeconfig "$BED_DIR/kube-controller-manager.kubeconfig" --leader-elect=false --profiling=false \
    --kube-api-qps 300 --kube-api-burst 600 --use-service-account-credentials \
    --service-account-private-key-file "$PKI/sa.key" --root-ca-file "$PKI/ca.crt" \
    --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key" \
    --bind-address 127.0.0.1 --secure-port "$2"
}

k() { "$KUBECTL" --kubeconfig "$BED_DIR/admin.kubeconfig" "$@"; }
ready() { k get --raw /readyz --request-timeout 2s; }
