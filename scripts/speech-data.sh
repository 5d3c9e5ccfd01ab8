#!/bin/bash
# Fetches the speech example's recording and the network's weights.
#
#   speech-data.sh DIR     a second run finds both in DIR and needs no network
#
# Both are part of the source distribution of the Python package silero-vad (MIT), which pip
# fetches. To read the package's metadata pip installs the build tool that the package names in a temporary
# place, and removes it again: nothing stays installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)

version=6.2.3
sdist=silero_vad-$version
sdist_sum=d7a23b09202be4953915cb9173089bb307eed0418a9bd4794d9ec5af07fa1996
wav_sum=a622cb1cdd8a52db84b0d4bb524fa9a93f9ed387de40530f87c3a57d7493fd49
model_sum=c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1

# has_sum FILE SUM: whether the file exists and has this checksum
has_sum() { [[ -f $1 && $(sum "$1") == "$2 "* ]]; }
sum() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi; }

# unpack MEMBER SUM: one file of the source distribution, whole or not at all
unpack() {
  local file
  file=$dir/$(basename "$1")
  tar -xzOf "$work/$sdist.tar.gz" "$sdist/$1" > "$work/member"
  has_sum "$work/member" "$2" || { echo "$1 of $sdist has another checksum than expected" >&2; exit 1; }
  mv "$work/member" "$file"
}

if has_sum "$dir/aepyx.wav" $wav_sum && has_sum "$dir/silero_vad_16k.safetensors" $model_sum; then
  exit 0
fi

# --version alone also works where pip's own modules are missing
python3 -m pip help download >/dev/null 2>&1 || "$here/apt-install.sh" python3 python3-pip ca-certificates

work=$(mktemp -d "$dir/fetching.XXXXXX") # in the same file system, so that mv is atomic
trap 'rm -rf "$work"' EXIT
echo "silero-vad==$version --hash=sha256:$sdist_sum" > "$work/requirements.txt"
echo "fetching the source distribution of silero-vad $version (29 MB)" >&2
python3 -m pip --disable-pip-version-check download --quiet --no-deps --no-binary silero-vad \
  --require-hashes --requirement "$work/requirements.txt" --dest "$work" ||
  { echo "pip could not fetch silero-vad $version: it needs a network, or a mirror that pip knows" >&2; exit 1; }
unpack examples/c++/aepyx.wav $wav_sum
unpack src/silero_vad/data/silero_vad_16k.safetensors $model_sum
