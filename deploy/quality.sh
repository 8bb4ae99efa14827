#!/usr/bin/env bash
# How well memos recalls: conversations go into a memos of its own, and their questions are asked.
#
#   quality.sh BIN DATA [FLAGS…]   BIN holds memos and load-tests; DATA is one or more files, separated by spaces; the
#                                  flags go to `load-tests quality`
#
# Everything is kept: no turn is too unimportant, and no two are alike enough to be one. So what is measured is the
# ranking, and not what salience thinks of small talk. MEMOS_FLAGS are further flags of `memos up`, and come last.
set -euo pipefail

readonly BIN="${1:?usage: deploy/quality.sh BIN DATA [FLAGS…]}"
readonly DATA="${2:?DATA is missing: the path of conversations with questions}"
shift 2
readonly KEEP="--set rules.keep_at=0 --set rules.merge_at=1001"

WORK="$(mktemp -d "${MEMOS_BENCH_DIR:-$BIN}/quality.XXXXXX")"
readonly WORK
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM

read -r -a files <<<"$DATA"
read -r -a settings <<<"$KEEP ${MEMOS_FLAGS:-}"
data=()
for file in "${files[@]}"; do data+=(--data "$file"); done

# The address is known only when memos has started.
# shellcheck disable=SC2016
"$(dirname "${BASH_SOURCE[0]}")/with-memos.sh" "$BIN" "$WORK" "${settings[@]}" -- bash -c '
  exec "$@" --url "$MEMOS_URL"' quality "$BIN/load-tests" quality "--configuration=${settings[*]}" "${data[@]}" "$@"
