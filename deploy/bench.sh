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

die() { printf 'bench: error: %s\n' "$*" >&2; exit 1; }

PARENT="${MEMOS_BENCH_DIR:-$(dirname "$BIN")}"
readonly PARENT
free_kb="$(df --output=avail -k "$PARENT" | tail -n 1)"
[[ "$free_kb" -ge "$NEEDED_KB" ]] || die "$PARENT has less than $((NEEDED_KB / 1024 / 1024)) GiB free"
[[ "$(stat -f -c %T "$PARENT")" != tmpfs ]] || die "$PARENT lies in memory; set MEMOS_BENCH_DIR to a directory on a disk"

WORK="$(mktemp -d "$PARENT/bench.XXXXXX")"
readonly WORK
HERE="$(dirname "${BASH_SOURCE[0]}")"
readonly HERE
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM

if [[ "$kafka" == yes ]]; then
  # The flags of the load come after the processes, whose ids are known only then.
  # shellcheck disable=SC2016
  PORT="${PORT:-8888}" "$HERE/cluster.sh" "$BIN" "$WORK/cluster" bash -c '
    flags=()
    for pid in $MEMOS_PIDS; do flags+=(--pid "$pid"); done
    load="$1"
    shift
    exec "$load" run --url "$MEMOS_URL" "${flags[@]}" "$@"' bench "$BIN/load-tests" "$@"
  exit
fi

# The address and the process are known only when memos has started.
# shellcheck disable=SC2016
"$HERE/with-memos.sh" "$BIN" "$WORK" -- bash -c '
  load="$1"
  shift
  exec "$load" run --url "$MEMOS_URL" --pid "$MEMOS_PID" "$@"' bench "$BIN/load-tests" "$@"
