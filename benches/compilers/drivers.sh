#!/bin/bash
# Puts Mesa's Vulkan drivers for GPUs that this machine does not have into DIR: no GPU is opened, nothing is installed
# but what compiles the shims. A second run is instant. Needs Debian 12 on x86-64 and apt.
#
#   drivers.sh DIR
#
#   release/              Mesa of the release's backports and the libraries that it needs: RADV (AMD), ANV (Intel)
#   newest/               the same of the suite NVK_SUITE (default: sid), with its C library: NVK (NVIDIA)
#   intel.so, nouveau.so  Mesa's drm-shims, compiled from its source: they answer instead of the kernel's driver
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
dir=$(mkdir -p "$1" && readlink -f "$1")
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[[ $release == bookworm && $(uname -m) == x86_64 ]] || { echo "drivers.sh needs Debian 12 on x86-64" >&2; exit 1; }
backports=$release-backports
sources=trixie # has the source of the Mesa that is in the backports
newest=${NVK_SUITE:-sid}
libraries=usr/lib/x86_64-linux-gnu

mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{sources,list} 2>/dev/null |
  sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' | sed -n '/\/debian\/\?$/{p;q}') || true
[[ $mirror ]] || { echo "apt's lists of sources name no Debian mirror" >&2; exit 1; }

# with_suites PREFERRED SOURCE... sets `apt` to an apt of its own, for which nothing is installed; a SOURCE is a
# type and a suite
with_suites() {
  local preferred=$1
  shift
  mkdir -p "$work"/{lists/partial,cache/archives/partial}
  : > "$work/status"
  while (($#)); do echo "$1 $key $mirror $2 main" && shift 2; done > "$work/sources.list"
  apt=(apt-get -qq --target-release "$preferred" -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache"
    -o APT::Sandbox::User=root -o APT::Install-Recommends=false)
  "${apt[@]}" update
}

# unpack FOLDER PACKAGE... with all that these need
unpack() {
  local package folder=$1
  "${apt[@]}" -y --download-only install "${@:2}" > /dev/null
  mkdir -p "$folder"
  for package in "$work"/cache/archives/*.deb; do dpkg --extract "$package" "$folder"; done
}

# manifest NAME LIBRARY writes $dir/NAME.json, for Vulkan's loader
manifest() {
  printf '{"file_format_version":"1.0.0","ICD":{"library_path":"./%s","api_version":"1.3.0"}}\n' "$2" > "$dir/$1.json"
}

work=$dir/work
key='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'

if [[ ! -f $dir/anv.json ]]; then
  rm -rf "$work" "$dir/release"
  with_suites "$backports" deb "$release" deb "$backports"
  unpack "$dir/release" mesa-vulkan-drivers libvulkan1 libdrm-dev
  # this machine's C library runs the compiler; a second one beside it would clash
  rm -f "$dir/release/lib/x86_64-linux-gnu"/{ld-linux*,lib{c,m,dl,rt,pthread,resolv,util,mvec}.so*,libnss_*}
  manifest radv "release/$libraries/libvulkan_radeon.so"
  manifest anv "release/$libraries/libvulkan_intel.so"
fi

if [[ ! -f $dir/nvk.json ]]; then
  rm -rf "$work" "$dir/newest"
  with_suites "$newest" deb "$newest"
  unpack "$dir/newest" mesa-vulkan-drivers libvulkan1
  manifest nvk "newest/$libraries/libvulkan_nouveau.so"
fi

if [[ ! -f $dir/nouveau.so ]]; then
  rm -rf "$work"
  python=/usr/bin/python3 # Debian's own, for which apt has mako and yaml
  missing=()
  "$python" -c 'import mako, yaml' 2> /dev/null || missing+=(python3 python3-mako python3-yaml)
  command -v cc > /dev/null || missing+=(gcc libc6-dev)
  command -v xz > /dev/null || missing+=(xz-utils)
  if ((${#missing[@]})); then "$here/../../scripts/apt-install.sh" "${missing[@]}"; fi
  with_suites "$sources" deb-src "$sources"
  mesa=$work/mesa
  mkdir -p "$mesa"
  (cd "$work" && "${apt[@]}" --download-only source mesa)
  tar -xf "$work"/mesa_*.orig.tar.xz -C "$mesa" --strip-components=1 --wildcards '*/src' '*/include'
  cd "$mesa"
  # what Mesa's build would generate
  (cd src/intel/dev && "$python" gen_wa_helpers.py mesa_defs.json intel_wa.h intel_wa.c &&
    "$python" intel_device_info_gen_h.py intel_device_info_gen.h &&
    "$python" intel_device_info_serialize_gen_c.py intel_device_info_serialize_gen.c)
  echo '#define MESA_GIT_SHA1 ""' > src/git_sha1.h
  # intel/common and intel/dev both have xe/ and i915/ with headers of the same names: these find the second
  mkdir dev-headers && cp -r src/intel/dev/{xe,i915} dev-headers
  have=(PTHREAD STRUCT_TIMESPEC TIMESPEC_GET ENDIAN_H SECURE_GETENV MEMFD_CREATE PROGRAM_INVOCATION_NAME DLADDR FLOCK
    STRTOF MKOSTEMP LIBDRM __BUILTIN_{CLZ,CLZLL,FFS,FFSLL,EXPECT,UNREACHABLE,POPCOUNT,POPCOUNTLL})
  flags=(-O1 -w -fPIC -shared -fvisibility=hidden -ffunction-sections -fdata-sections '-Wl,--gc-sections'
    -D_GNU_SOURCE -DMAJOR_IN_SYSMACROS -DUTIL_ARCH_LITTLE_ENDIAN=1 -DUTIL_ARCH_BIG_ENDIAN=0 '-DPACKAGE_VERSION=""'
    "${have[@]/#/-DHAVE_}" -Iinclude -Isrc -Isrc/intel -Isrc/intel/common -Idev-headers -Isrc/drm-shim
    -I"$dir/release/usr/include" -I"$dir/release/usr/include/libdrm")
  shim=(src/drm-shim/{device,drm_shim}.c src/c11/impl/{threads_posix,time}.c
    src/util/{hash_table,set,ralloc,vma,anon_file,u_debug,os_misc,log,u_process,simple_mtx,u_call_once,futex}.c
    src/util/{os_time,os_file,rb_tree,u_printf,blob,strtod,bitscan}.c)
  intel=(src/intel/tools/intel_noop_drm_shim.c src/util/parson.c
    src/intel/dev/intel_{device_info_serialize_gen,wa,device_info,hwconfig,kmd}.c
    src/intel/dev/{i915,xe}/intel_device_info.c src/intel/common/intel_{gem,engine}.c src/intel/common/{i915,xe}/*.c)
  system=(-ldl -lpthread -lm)
  cc "${flags[@]}" "${shim[@]}" "${intel[@]}" "$dir/release/$libraries/libdrm.so.2" "${system[@]}" -o "$dir/intel.so"
  cc "${flags[@]}" "${shim[@]}" src/nouveau/drm-shim/nouveau_noop.c "${system[@]}" -o "$dir/nouveau.so"
fi
rm -rf "$work"
