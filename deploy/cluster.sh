#!/usr/bin/env bash
# memos as separate processes over a Kafka of its own, on this machine: to look at, to try, and to measure.
#
#   cluster.sh BIN DIR [COMMAND…]   BIN holds the memos binary; DIR is new or an earlier one's, and is kept
#
# Starts one broker and one of each service, prints where they are, and runs COMMAND with the gateway's address in
# MEMOS_URL and the services' process ids in MEMOS_PIDS; without a command it waits for Ctrl-C. Everything listens on
# loopback only and is stopped at the end. KAFKA_HEAP (default 512m) is the broker's memory; PORT (default 8888) is the
# gateway's, the others take the ports that follow and 19092 and 19093.
set -euo pipefail

readonly BIN="${1:?usage: deploy/cluster.sh BIN DIR [COMMAND…]}"
readonly DIR="${2:?usage: deploy/cluster.sh BIN DIR [COMMAND…]}"
shift 2
readonly KAFKA="${MEMOS_TOOLS:-${HOME:?HOME must be set}/.cache/memos/tools}/kafka-4.3.1"
readonly HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly PORT="${PORT:-8888}"
readonly BROKER=127.0.0.1:19092
readonly CONTROLLER=127.0.0.1:19093
readonly DEADLINE=120

die() { printf 'cluster: error: %s\n' "$*" >&2; exit 1; }
say() { printf 'cluster: %s\n' "$*"; }

[[ -d "$KAFKA/libs" ]] || die "there is no Kafka in $KAFKA: run deploy/setup.sh test"
mkdir -p "$DIR/kafka"

declare -A pids=()
stop_one() {
  local pid="${pids[$1]:-}"
  [[ -n "$pid" ]] || return 0
  kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
}
clean() {
  local name
  # The edge first, the broker last: each finishes what it has.
  for name in gateway working-memory consolidator recall kafka; do stop_one "$name"; done
}
trap clean EXIT
trap 'exit 130' INT TERM

# Waits until a command succeeds; fails at once when the process has ended.
until_ready() {
  local name="$1" since=$SECONDS
  shift
  until "$@" >/dev/null 2>&1; do
    kill -0 "${pids[$name]}" 2>/dev/null || { tail -n 20 "$DIR/$name.log" >&2; die "$name ended"; }
    ((SECONDS - since < DEADLINE)) || { tail -n 20 "$DIR/$name.log" >&2; die "$name is not ready after $DEADLINE s"; }
    sleep 0.2
  done
}

java_kafka() {
  exec java -Xms128m "-Xmx${KAFKA_HEAP:-512m}" -XX:+UseSerialGC "-Dkafka.logs.dir=$DIR/kafka" \
    "-Dlog4j2.configurationFile=$HERE/kafka/log4j2.properties" -cp "$KAFKA/libs/*" "$@"
}

cat "$HERE/kafka/broker.properties" - >"$DIR/kafka/server.properties" <<EOF
controller.quorum.bootstrap.servers=$CONTROLLER
listeners=PLAINTEXT://$BROKER,CONTROLLER://$CONTROLLER
advertised.listeners=PLAINTEXT://$BROKER,CONTROLLER://$CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$DIR/kafka/data
EOF
if [[ ! -e "$DIR/kafka/data/meta.properties" ]]; then
  id="$(head -c16 /dev/urandom | basenc --base64url | tr -d =)"
  (java_kafka kafka.tools.StorageTool format --standalone -t "$id" -c "$DIR/kafka/server.properties") \
    >"$DIR/kafka.log" 2>&1 || { cat "$DIR/kafka.log" >&2; die "the broker's directory cannot be formatted"; }
fi
(java_kafka kafka.Kafka "$DIR/kafka/server.properties") >>"$DIR/kafka.log" 2>&1 &
pids[kafka]=$!
renice -n 5 -p "${pids[kafka]}" >/dev/null
until_ready kafka kcat -b "$BROKER" -L -m 2
say "Kafka listens on $BROKER"

export MEMOS__KAFKA__BOOTSTRAP_SERVERS="$BROKER" MEMOS__DATA__HASH_SECRET_FILE="$DIR/hash.secret"
# A root key of its own, which `memos topics` makes: nobody else's keys are touched. It goes with the directory.
export MEMOS__KEYS__ROOT_FILE="$DIR/root.key"
export MEMOS__TOPICS__REPLICATION_FACTOR=1 MEMOS__TOPICS__MIN_INSYNC_REPLICAS=1
export MEMOS__GATEWAY__RECALL__URLS="[\"http://127.0.0.1:$((PORT + 1))\"]"
"$BIN/memos" topics --data "$DIR/topics"

# start NAME PORT PRIORITY…
start() {
  local name="$1" port="$2"
  shift 2
  "$@" "$BIN/memos" "$name" --data "$DIR/$name" --listen "127.0.0.1:$port" --set "group.instance=$name" \
    >>"$DIR/$name.log" 2>&1 &
  pids[$name]=$!
}
# Where all share a few processors, who answers goes before who writes: a question waits for nobody, and an event has time.
start recall "$((PORT + 1))"
start working-memory "$((PORT + 2))" nice -n 10
start consolidator "$((PORT + 3))" nice -n 10
start gateway "$PORT"
offset=1
for name in recall working-memory consolidator; do
  until_ready "$name" curl -sf "http://127.0.0.1:$((PORT + offset))/health/ready"
  offset=$((offset + 1))
done
until_ready gateway curl -sf "http://127.0.0.1:$PORT/health/ready"
say "memos answers on http://127.0.0.1:$PORT (documentation: http://127.0.0.1:$PORT/docs)"

export MEMOS_URL="http://127.0.0.1:$PORT"
export MEMOS_PIDS="${pids[gateway]} ${pids[working-memory]} ${pids[consolidator]} ${pids[recall]}"
export MEMOS_BROKER_PID="${pids[kafka]}"
unset MEMOS__KAFKA__BOOTSTRAP_SERVERS MEMOS__DATA__HASH_SECRET_FILE MEMOS__KEYS__ROOT_FILE
unset MEMOS__GATEWAY__RECALL__URLS
unset MEMOS__TOPICS__REPLICATION_FACTOR MEMOS__TOPICS__MIN_INSYNC_REPLICAS
if [[ $# -gt 0 ]]; then
  "$@"
else
  say "logs and data are in $DIR; try: memos sample --url $MEMOS_URL; Ctrl-C stops everything"
  # A service that ends by itself ends the cluster.
  wait -n
fi
