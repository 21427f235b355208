#!/usr/bin/env bash
# node-rootfs.sh DIR [FILE...]: a root file system with this machine's Node.js, the shared libraries it needs,
# /etc/passwd, and the given files under /app. For pods of tests; the product's image is made elsewhere.
set -euo pipefail
dir=$1; shift
node=$(readlink -f "${NODE_BINARY:-$(node -p process.execPath)}")
mkdir -p "$dir"/{app,etc,tmp,usr/bin}
chmod 1777 "$dir/tmp"
install -m 755 "$node" "$dir/usr/bin/node"
ldd "$node" | grep -o '/[^ ]*' | sort -u | while read -r lib; do install -D -m 755 "$(readlink -f "$lib")" "$dir$lib"; done
# glibc takes names through plugins that ldd does not list (built in from 2.34 on; harmless before).
for lib in /lib/*-linux-gnu/libnss_{dns,files}.so.2 /lib/*-linux-gnu/libresolv.so.2; do
  [ ! -e "$lib" ] || install -D -m 755 "$(readlink -f "$lib")" "$dir$lib"
done
echo 'hosts: files dns' >"$dir/etc/nsswitch.conf"
printf 'root:x:0:0::/:\nnonroot:x:65532:65532::/app:\n' >"$dir/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$dir/etc/group"
[ $# = 0 ] || cp -r "$@" "$dir/app/"
