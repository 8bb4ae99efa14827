#!/usr/bin/env bash
# Runs a command against a memos of its own, on a free port of loopback, and stops it.
#
#   with-memos.sh BIN WORK [FLAGS…] -- COMMAND…   BIN holds memos; WORK is a directory, in which its data goes; the flags
#                                                 go to `memos up`; the command finds MEMOS_URL and MEMOS_PID
set -euo pipefail

readonly BIN="${1:?usage: deploy/with-memos.sh BIN WORK [FLAGS…] -- COMMAND…}"
readonly WORK="${2:?WORK is missing}"
shift 2
readonly STARTS_WITHIN=300

die() { printf 'with-memos: error: %s\n' "$*" >&2; exit 1; }

flags=()
while [[ $# -gt 0 && "$1" != -- ]]; do
  flags+=("$1")
  shift
done
[[ $# -ge 2 ]] || die "there is no command after --"
shift

pid=""
stop() {
  if [[ -n "$pid" ]] && kill "$pid" 2>/dev/null; then
    wait "$pid" || true
  fi
}
trap stop EXIT
trap 'exit 130' INT TERM

# With a root key of its own, which goes when the directory does.
MEMOS__KEYS__ROOT_FILE="$WORK/root.key" "$BIN/memos" up --data "$WORK/data" --listen 127.0.0.1:0 "${flags[@]}" \
  >"$WORK/out" 2>"$WORK/log" &
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
MEMOS_URL="$url" MEMOS_PID="$pid" "$@" || code=$?
[[ $code -eq 0 ]] || tail -n 20 "$WORK/log" >&2
exit "$code"
