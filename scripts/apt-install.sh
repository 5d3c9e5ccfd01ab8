#!/bin/bash
# Installs Debian packages, as root or with sudo; otherwise names the missing packages and fails.
#
#   apt-install.sh PACKAGE...
set -euo pipefail

missing() {
  echo "missing on this machine: $packages ($1)" >&2
  exit 1
}

packages=$*
command -v apt-get >/dev/null || missing "there is no apt-get to install them with"
as_root=()
if [[ $(id -u) != 0 ]]; then
  # sudo may ask for a password only at a terminal
  if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
    missing "installing them needs root or sudo: apt-get install $packages"
  fi
  as_root=(sudo)
fi
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" 2>&1
}

echo "installing $packages" >&2
apt update >/dev/null || echo "the package lists could not be updated; trying with the old ones" >&2
log=$(apt install -y --no-install-recommends "$@") || {
  tail -n 2 <<< "$log" >&2
  missing "apt-get could not install them"
}
