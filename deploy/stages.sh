#!/usr/bin/env bash
# Runs the stages of `make test` and says how long each took.
#
#   stages.sh begin              forgets the times of the last run
#   stages.sh run NAME COMMAND…  runs one stage; a failing stage prints the times so far and fails
#   stages.sh end                prints the time of every stage and the total
#
# The times are kept in the file that MEMOS_STAGES names, beside the build and not in the clone.
set -euo pipefail

readonly TIMES="${MEMOS_STAGES:?MEMOS_STAGES must name the file for the times}"

clock() { printf '%d:%02d' "$(($1 / 60))" "$(($1 % 60))"; }

table() {
  local name seconds outcome total=0
  printf '\n%-12s %8s\n' stage 'min:s'
  while read -r name seconds outcome; do
    total=$((total + seconds))
    printf '%-12s %8s  %s\n' "$name" "$(clock "$seconds")" "$outcome"
  done <"$TIMES"
  printf '%-12s %8s\n' total "$(clock "$total")"
}

run() {
  local name="$1" started=$SECONDS outcome=ok code=0
  shift
  printf '==> %s: %s\n' "$name" "$*"
  "$@" || { code=$?; outcome=FAILED; }
  printf '%s %d %s\n' "$name" "$((SECONDS - started))" "$outcome" >>"$TIMES"
  if [[ $code -ne 0 ]]; then
    table
    printf 'stage %s failed\n' "$name" >&2
  fi
  return "$code"
}

case "${1:-}" in
  begin)
    mkdir -p "$(dirname "$TIMES")"
    : >"$TIMES"
    ;;
  run)
    shift
    run "$@"
    ;;
  end) table ;;
  *)
    printf 'usage: deploy/stages.sh begin | run NAME COMMAND… | end\n' >&2
    exit 2
    ;;
esac
