#!/usr/bin/env bash
# Installs what is missing to build memos (`setup.sh build`) or to test it (`setup.sh test`).
#
# It looks for the tools themselves and not for packages, so where everything is there it says nothing and takes no
# time. What it installs: Debian packages through apt-get (as root or through sudo), and cargo-deny in one pinned
# version under ~/.cache/memos/tools, where it cannot get in the way of another version. Rust is never installed here:
# which toolchain a machine has is its owner's decision.
set -euo pipefail

readonly DENY_VERSION=0.20.2
readonly TOOLS="${MEMOS_TOOLS:-${HOME:?HOME must be set}/.cache/memos/tools}"
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
readonly ROOT

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# RocksDB's bindings are generated while building, by a libclang that is loaded at that moment. libclang-cpp, which
# comes with the compiler, is another library and of no use for this.
have_libclang() {
  local folder
  [[ -z "${LIBCLANG_PATH:-}" ]] || return 0
  for folder in '/usr/lib/llvm-*/lib' '/usr/lib/*-linux-gnu' /usr/lib64 /usr/lib /usr/local/lib; do
    if compgen -G "$folder/libclang.so*" >/dev/null || compgen -G "$folder/libclang-[0-9]*.so*" >/dev/null; then
      return 0
    fi
  done
  return 1
}

# The lowest Rust that the workspace builds with is stated once, in Cargo.toml.
check_rust() {
  local wanted found
  wanted="$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml")"
  [[ -n "$wanted" ]] || die "Cargo.toml does not state rust-version"
  have rustc && have cargo ||
    die "Rust is missing. Install Rust $wanted or newer (https://www.rust-lang.org/tools/install), open a new shell and try again."
  found="$(rustc --version | awk '{ print $2 }')"
  [[ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" == "$wanted" ]] ||
    die "Rust $found is too old, memos needs $wanted or newer. With rustup: rustup update stable"
}

check_rust_components() {
  cargo fmt --version >/dev/null 2>&1 || die "cargo fmt is missing. With rustup: rustup component add rustfmt"
  cargo clippy --version >/dev/null 2>&1 || die "cargo clippy is missing. With rustup: rustup component add clippy"
}

# Prints the package of every tool that is missing.
missing_packages() {
  have cc || echo build-essential
  have clang && have clang++ || echo clang
  have_libclang || echo libclang-dev
  have ccache || echo ccache
  have curl || echo curl
  if [[ "$1" == test ]]; then
    have strace || echo strace
  fi
}

apt_install() {
  local as_root=()
  have apt-get || die "these are missing, and there is no apt-get to install them: $*"
  if [[ "$(id -u)" != 0 ]]; then
    have sudo || die "these are missing: $*. Install them, or run this as root or with sudo available."
    as_root=(sudo)
  fi
  say "installing $*"
  # A stale list of packages is the usual reason for a failing install, so the lists are fetched first.
  "${as_root[@]}" apt-get update -qq || die "apt-get update failed"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    die "apt-get could not install: $*"
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$1")
  [[ ${#missing[@]} -eq 0 ]] && return
  apt_install "${missing[@]}"
  mapfile -t missing < <(missing_packages "$1")
  [[ ${#missing[@]} -eq 0 ]] || die "still missing after the installation: ${missing[*]}"
}

install_cargo_deny() {
  local binary="$TOOLS/bin/cargo-deny"
  if [[ "$("$binary" --version 2>/dev/null)" == "cargo-deny $DENY_VERSION" ]]; then
    return
  fi
  say "building cargo-deny $DENY_VERSION, once for this machine; this takes a few minutes"
  # Its own release profile links for minutes to save milliseconds. This one is ready in a third of the time.
  CARGO_TARGET_DIR="$TOOLS/target" cargo install --quiet --locked --root "$TOOLS" --version "$DENY_VERSION" cargo-deny \
    --config profile.release.opt-level=1 --config 'profile.release.lto="off"' --config profile.release.codegen-units=16 \
    2> >(grep -v 'be sure to add' >&2) || die "cargo-deny could not be built"
  [[ "$("$binary" --version)" == "cargo-deny $DENY_VERSION" ]] || die "cargo-deny is not where it should be: $binary"
  say "cargo-deny is ready"
}

case "${1:-}" in
  build)
    check_rust
    install_packages build
    ;;
  test)
    check_rust
    check_rust_components
    install_packages test
    install_cargo_deny
    ;;
  *)
    die "usage: deploy/setup.sh build|test"
    ;;
esac
