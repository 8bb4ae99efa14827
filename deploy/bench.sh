#!/usr/bin/env bash
# Load against a memos of its own: a fresh data directory, a free port of loopback, stopped and removed at the end.
#
#   bench.sh [--kafka] BIN [FLAGS…]   BIN holds memos and load-tests; the flags go to `load-tests run`
#
# With --kafka the memos is one process for each service over a Kafka of its own (deploy/cluster.sh), on the same cores.
#
# A full disk would stop the run in the middle, so it fails first. MEMOS_BENCH_DIR names where the data goes; a
# directory in memory would make fsync free and the figures worthless.
set -euo pipefail

kafka=no
if [[ "${1:-}" == --kafka ]]; then
  kafka=yes
  shift
fi
readonly BIN="${1:?usage: deploy/bench.sh [--kafka] BIN [FLAGS…]}"
shift
readonly NEEDED_KB=$((8 * 1024 * 1024))
readonly STARTS_WITHIN=300

die() { printf 'bench: error: %s\n' "$*" >&2; exit 1; }

PARENT="${MEMOS_BENCH_DIR:-$(dirname "$BIN")}"
readonly PARENT
free_kb="$(df --output=avail -k "$PARENT" | tail -n 1)"
[[ "$free_kb" -ge "$NEEDED_KB" ]] || die "$PARENT has less than $((NEEDED_KB / 1024 / 1024)) GiB free"
[[ "$(stat -f -c %T "$PARENT")" != tmpfs ]] || die "$PARENT lies in memory; set MEMOS_BENCH_DIR to a directory on a disk"

WORK="$(mktemp -d "$PARENT/bench.XXXXXX")"
readonly WORK
pid=""
clean() {
  if [[ -n "$pid" ]] && kill "$pid" 2>/dev/null; then
    wait "$pid" || true
  fi
  rm -rf "$WORK"
}
trap clean EXIT
trap 'exit 130' INT TERM

if [[ "$kafka" == yes ]]; then
  # The flags of the load come after the processes, whose ids are known only then.
  # shellcheck disable=SC2016
  PORT="${PORT:-8888}" "$(dirname "${BASH_SOURCE[0]}")/cluster.sh" "$BIN" "$WORK/cluster" bash -c '
    flags=()
    for pid in $MEMOS_PIDS; do flags+=(--pid "$pid"); done
    load="$1"
    shift
    exec "$load" run --url "$MEMOS_URL" "${flags[@]}" "$@"' bench "$BIN/load-tests" "$@"
  exit
fi

# With a root key of its own, which goes when it does.
MEMOS__KEYS__ROOT_FILE="$WORK/root.key" "$BIN/memos" up --data "$WORK/data" --listen 127.0.0.1:0 >"$WORK/out" 2>"$WORK/log" &
pid=$!

# Its first line says where it listens.
url=""
for ((look = 0; look < STARTS_WITHIN; look++)); do
  url="$(sed -n 's/^memos listens on \(http:[^ ]*\) .*/\1/p' "$WORK/out")"
  [[ -z "$url" ]] || break
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.1
done
[[ -n "$url" ]] || { cat "$WORK/log" >&2; die "memos did not start"; }

code=0
"$BIN/load-tests" run --url "$url" --pid "$pid" "$@" || code=$?
[[ $code -eq 0 ]] || tail -n 20 "$WORK/log" >&2
exit "$code"
