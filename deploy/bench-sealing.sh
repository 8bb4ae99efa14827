#!/usr/bin/env bash
# What sealing costs: the same load on a memos that seals and on one that does not, in turns, in one run.
#
#   bench-sealing.sh [TURNS]    default 3 turns of each
#
# The load is closed: several clients publish as fast as they are answered, so both cores are full, and the time until
# everything is consolidated is the throughput. It prints the machine, each turn, and the ratio of the medians.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TURNS="${1:-3}"
readonly CLIENTS=6 USERS=1000 MEMORIES=30
readonly TARGET="${CARGO_TARGET_DIR:-$HOME/.cache/memos/target}"
export CARGO_TARGET_DIR="$TARGET"

WORK="$(mktemp -d "$TARGET/bench-sealing.XXXXXX")"
readonly WORK
pid=""
clean() {
  if [[ -n "$pid" ]] && kill "$pid" 2>/dev/null; then wait "$pid" || true; fi
  rm -rf "$WORK"
}
trap clean EXIT
trap 'exit 130' INT TERM

build() { # features, name
  cargo build --quiet --release -p memos -p load-tests ${1:+--features "$1"}
  mkdir -p "$WORK/$2"
  cp "$TARGET/release/memos" "$TARGET/release/load-tests" "$WORK/$2/"
}
build memos/unsealed plain
build "" sealed

ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }

# One turn: prints seconds and the processor seconds of memos.
turn() { # name, number
  local bin="$WORK/$1" data="$WORK/data" url="" began ended spent
  export XDG_CONFIG_HOME="$WORK/config"
  "$bin/memos" up --data "$data" --listen 127.0.0.1:0 --set data.hash_secret_file="$data/hash.secret" >"$WORK/out" 2>"$WORK/log" &
  pid=$!
  for _ in $(seq 300); do
    url="$(sed -n 's/^memos listens on \(http:[^ ]*\) .*/\1/p' "$WORK/out")"
    [[ -z "$url" ]] || break
    sleep 0.1
  done
  [[ -n "$url" ]] || { cat "$WORK/log" >&2; exit 1; }
  began="$(date +%s.%N)"
  local clients=()
  for ((client = 0; client < CLIENTS; client++)); do
    "$bin/load-tests" preload --url "$url" --users "$USERS" --memories "$MEMORIES" --batch 50 --seed "$((client + 1))" >"$WORK/client.$client" &
    clients+=("$!")
  done
  for client in "${clients[@]}"; do wait "$client" || { cat "$WORK"/client.* >&2; exit 1; }; done
  ended="$(date +%s.%N)"
  spent="$(ticks "$pid")"
  kill "$pid"; wait "$pid" || true
  pid=""
  rm -rf "$data" "$data.keys"
  # Last, for whoever reads it goes on at once.
  awk -v b="$began" -v e="$ended" -v t="$spent" -v h="$(getconf CLK_TCK)" 'BEGIN {printf "%.2f %.2f\n", e - b, t / h}'
}

median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

events=$((CLIENTS * USERS * (MEMORIES + 1)))
echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(uname -sr)"
echo "load: $CLIENTS clients, $USERS users x $MEMORIES interactions each, requests of 50, until everything is decided: $events events"
for ((number = 1; number <= TURNS; number++)); do
  for name in plain sealed; do
    read -r seconds cpu < <(turn "$name" "$number")
    printf '%s %d: %s s, %.0f events/s, %s s of processor time\n' "$name" "$number" "$seconds" \
      "$(awk -v e="$events" -v s="$seconds" 'BEGIN {print e / s}')" "$cpu"
    echo "$seconds" >>"$WORK/$name.seconds"
    echo "$cpu" >>"$WORK/$name.cpu"
  done
done
for what in seconds cpu; do
  awk -v p="$(median <"$WORK/plain.$what")" -v s="$(median <"$WORK/sealed.$what")" -v w="$what" \
    'BEGIN {printf "median %s: plain %.2f, sealed %.2f: sealing costs %.1f %%\n", w, p, s, 100 * (1 - p / s)}'
done
