#!/bin/bash
# Installs what tests in a browser need, unless it is there: Chromium and its driver, Node, Rust's target for WebAssembly,
# and wasm-bindgen's programs of Cargo.lock's version, built in the user's cache. Prints their folder.
#
#   web-tools.sh [--build]     --build: only what a build needs, without Chromium and Node
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=()
{ command -v chromedriver && command -v chromium; } >/dev/null || missing+=(chromium chromium-driver)
command -v node >/dev/null || missing+=(nodejs)
command -v python3 >/dev/null || missing+=(python3)
if [[ ${1:-} != --build && ${#missing[@]} != 0 ]]; then
  scripts/apt-install.sh "${missing[@]}" >&2
fi

target=wasm32-unknown-unknown
if [[ ! -d $("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/$target ]]; then
  rustup target add "$target" >&2
fi

version=$(grep -A1 '^name = "wasm-bindgen"$' Cargo.lock | sed -n 's/^version = "\(.*\)"$/\1/p')
tools=${XDG_CACHE_HOME:-$HOME/.cache}/wgpu-lstm/wasm-bindgen-$version
if [[ ! -x $tools/bin/wasm-bindgen-test-runner ]]; then
  # Not by a toolchain for WebAssembly alone. Its own lock file would compile versions of libraries that are years old.
  env -u RUSTC -u LD_LIBRARY_PATH -u CARGO_TARGET_DIR \
    cargo install --quiet wasm-bindgen-cli --version "$version" --root "$tools" >&2
fi
echo "$tools/bin"
