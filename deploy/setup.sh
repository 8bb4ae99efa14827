#!/usr/bin/env bash
# Installs what is missing to build memos (`setup.sh build`), to test it (`setup.sh test`), or to check that it compiles for
# aarch64 (`setup.sh cross`).
#
# It looks for the tools themselves and not for packages, so where everything is there it says nothing and takes no
# time. What it installs: Debian packages through apt-get (as root or through sudo), and in one pinned version each,
# under ~/.cache/memos/tools, where they cannot get in the way of other versions: cargo-deny, the Apache Kafka that the
# tests run against, and a Kafka client for Python, which shares no code with the one that memos is built with. Rust is
# never installed here: which toolchain a machine has is its owner's decision.
#
# `setup.sh kafka-checksums` fetches Kafka as deploy/kafka/pom.xml states it and writes deploy/kafka/jars.sha256. That
# is for whoever changed the former; the difference of the latter is then reviewed like any other.
set -euo pipefail

readonly CROSS_TARGET=aarch64-unknown-linux-gnu
readonly DENY_VERSION=0.20.2
readonly TOOLS="${MEMOS_TOOLS:-${HOME:?HOME must be set}/.cache/memos/tools}"
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
readonly ROOT
readonly KAFKA_POM="$ROOT/deploy/kafka/pom.xml"
readonly KAFKA_JARS="$ROOT/deploy/kafka/jars.sha256"
readonly PYTHON_CLIENT="$ROOT/deploy/kafka/python-client.txt"

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

# Whether the C compiler finds a header: what a build asks, wherever the header came from.
have_header() { printf '#include <%s>\n' "$1" | cc -E - >/dev/null 2>&1; }

# Kafka's broker runs on Java 17 or newer.
have_java() {
  local version
  version="$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')"
  [[ -n "$version" && "$version" -ge 17 ]]
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
  # librdkafka is compiled with its own configure and make, and links the system's OpenSSL.
  have make || echo make
  have pkg-config || echo pkg-config
  have_header openssl/ssl.h || echo libssl-dev
  have_header zlib.h || echo zlib1g-dev
  if [[ "$1" == test ]]; then
    have strace || echo strace
    have openssl || echo openssl
    have_java || echo openjdk-17-jre-headless
    have mvn || echo maven
    have kcat || echo kcat
    # Debian's Python comes without the part that puts pip into a new environment.
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || echo python3-venv
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

kafka_version() {
  local version
  version="$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$KAFKA_POM")"
  [[ -n "$version" ]] || die "deploy/kafka/pom.xml does not state kafka.version"
  printf '%s' "$version"
}

# Fetches the jars of the pom into a folder. What Maven says is shown only if it fails three times.
fetch_jars() {
  local folder="$1" attempt
  for attempt in 1 2 3; do
    mvn -B -q -Dstyle.color=never -f "$KAFKA_POM" dependency:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$folder/libs" >"$folder/maven.log" 2>&1 && return
    say "Maven could not fetch Kafka (attempt $attempt of 3)"
  done
  cat "$folder/maven.log" >&2
  die "Kafka's jars could not be fetched"
}

# Whether a folder holds the jars of the list, all of them, unharmed, and no others.
jars_are_right() {
  local folder="$1"
  [[ "$(find "$folder" -name '*.jar' 2>/dev/null | wc -l)" == "$(wc -l <"$KAFKA_JARS")" ]] &&
    (cd "$folder" && sha256sum --check --strict --quiet "$KAFKA_JARS")
}

# A folder that is taken away however this script ends, beside the place its content will be moved to.
new_folder() {
  mkdir -p "$TOOLS"
  NEW="$(mktemp -d "$TOOLS/new.XXXXXX")"
  trap 'rm -rf "$NEW"' EXIT
}

# Puts a finished folder in place with one rename, so that nobody ever finds half of it.
move_into_place() {
  local from="$1" to="$2"
  chmod 755 "$from"
  if [[ -e "$to" ]]; then
    mv -T "$to" "$NEW/replaced"
  fi
  mv -T "$from" "$to"
  rm -rf "$NEW"
}

install_kafka() {
  local version home
  version="$(kafka_version)"
  home="$TOOLS/kafka-$version"
  if cmp -s "$KAFKA_POM" "$home/pom.xml" && jars_are_right "$home/libs" >/dev/null 2>&1; then
    return
  fi
  say "fetching Apache Kafka $version for the tests, once for this machine"
  new_folder
  mkdir "$NEW/kafka"
  fetch_jars "$NEW/kafka"
  jars_are_right "$NEW/kafka/libs" >&2 ||
    die "what Maven fetched is not what deploy/kafka/jars.sha256 lists. After a change of deploy/kafka/pom.xml: deploy/setup.sh kafka-checksums"
  rm "$NEW/kafka/maven.log"
  cp "$KAFKA_POM" "$NEW/kafka/pom.xml"
  move_into_place "$NEW/kafka" "$home"
  say "Apache Kafka $version is ready"
}

# The C and C++ compilers for aarch64, and the libraries of that architecture that memos links.
install_cross_packages() {
  have aarch64-linux-gnu-g++ && [[ -e /usr/lib/aarch64-linux-gnu/pkgconfig/libssl.pc &&
    -e /usr/lib/aarch64-linux-gnu/pkgconfig/zlib.pc ]] && return
  have dpkg || die "this needs Debian's libraries for arm64, and there is no dpkg"
  if ! dpkg --print-foreign-architectures | grep -qx arm64; then
    if [[ "$(id -u)" == 0 ]]; then dpkg --add-architecture arm64; else sudo dpkg --add-architecture arm64; fi
  fi
  apt_install g++-aarch64-linux-gnu libssl-dev:arm64 zlib1g-dev:arm64
}

# Rust's standard library for aarch64.
install_cross_std() {
  local library
  library="$(rustc --print target-libdir --target "$CROSS_TARGET")"
  compgen -G "$library/libstd-*.rlib" >/dev/null && return
  have rustup || die "Rust's library for $CROSS_TARGET is missing, and there is no rustup to install it"
  say "installing Rust's library for $CROSS_TARGET"
  rustup target add "$CROSS_TARGET" || die "rustup could not install it"
}

write_kafka_checksums() {
  new_folder
  fetch_jars "$NEW"
  (cd "$NEW/libs" && LC_ALL=C sha256sum -- *.jar) >"$NEW/jars.sha256"
  mv "$NEW/jars.sha256" "$KAFKA_JARS"
  say "deploy/kafka/jars.sha256 lists $(wc -l <"$KAFKA_JARS") jars"
}

# An environment may be renamed as long as it is used through its bin/python, which finds the rest from where it lies.
install_python_client() {
  local home="$TOOLS/python-kafka"
  if cmp -s "$PYTHON_CLIENT" "$home/python-client.txt" && "$home/bin/python" -c '' 2>/dev/null; then
    return
  fi
  say "installing a Kafka client for Python, for the tests"
  new_folder
  python3 -m venv "$NEW/python" || die "python3 could not make a virtual environment"
  "$NEW/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    -r "$PYTHON_CLIENT" || die "the Kafka client for Python could not be installed"
  "$NEW/python/bin/python" -c 'import kafka' || die "the Kafka client for Python does not load"
  cp "$PYTHON_CLIENT" "$NEW/python/python-client.txt"
  move_into_place "$NEW/python" "$home"
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
    install_kafka
    install_python_client
    install_cargo_deny
    ;;
  cross)
    check_rust
    install_packages build
    install_cross_packages
    install_cross_std
    ;;
  kafka-checksums)
    install_packages test
    write_kafka_checksums
    ;;
  *)
    die "usage: deploy/setup.sh build|test|cross|kafka-checksums"
    ;;
esac
