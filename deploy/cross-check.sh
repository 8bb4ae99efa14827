#!/usr/bin/env bash
# Checks that all of memos compiles for aarch64: the Rust of every crate, and RocksDB and librdkafka, which are C and C++.
# Nothing is linked or run. Its files are in a folder of the target directory that Cargo keeps for that architecture.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TARGET=aarch64-unknown-linux-gnu

deploy/setup.sh cross
# librdkafka's configure knows no other name for the compiler than CC; what runs while building is compiled with the other.
export CC='ccache aarch64-linux-gnu-gcc' CXX='ccache aarch64-linux-gnu-g++' HOST_CC=clang HOST_CXX=clang++
export PKG_CONFIG_ALLOW_CROSS=1
export PKG_CONFIG_LIBDIR_aarch64_unknown_linux_gnu=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig
exec cargo check --locked --release --workspace --target "$TARGET"
