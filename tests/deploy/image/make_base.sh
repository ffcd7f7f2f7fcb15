#!/usr/bin/env bash
# Makes stand-ins for the two base images of deploy/Dockerfile, for machines that reach no registry of images.
#
# A stand-in is a minimal Debian with an installed Python: python:TAG-slim-CODENAME for what runs, and
# python:TAG-CODENAME for the build stage, which also has a C compiler. Packages come from where apt gets them on this
# machine. With both, `buildah bud --isolation chroot --network host --pull-never` builds the image without an engine.
#
# Usage, as root: make_base.sh VERSION CODENAME, as in the FROM lines: make_base.sh 3.12.11 bookworm
# PYTHON=/path/to/python names the Python to copy; by default python3.12 for 3.12.11, and otherwise Debian's python3.
set -euo pipefail
version=${1:?version of the base, such as 3.12.11}
codename=${2:?codename of Debian, such as bookworm}
name=docker.io/library/python

for tool in buildah mmdebstrap; do
    command -v "$tool" >/dev/null || { echo "make_base.sh: $tool is missing (on Debian: apt-get install $tool)" >&2; exit 1; }
done

work=$(mktemp -d)
container=
clean() {
    [ -z "$container" ] || buildah rm "$container" >/dev/null
    rm -rf "$work"
}
trap clean EXIT

# A Python with a folder of its own is copied. One that is part of its system is not: then Debian's is installed.
python=${PYTHON:-}
if [ -z "$python" ]; then
    minor=${version%.*}
    for candidate in "python$minor" "$(find "${PYENV_ROOT:-$HOME/.pyenv}/versions" -path "*/$minor.*/bin/python$minor" 2>/dev/null | sort | tail -n 1)"; do
        python=$(command -v "$candidate" || true)
        [ -z "$python" ] || "$python" -c pass 2>/dev/null || python= # a shim of pyenv without that version
        [ -z "$python" ] || break
    done
fi
prefix=
[ -z "$python" ] || prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
packages=ca-certificates,libbz2-1.0,libffi8,liblzma5,libreadline8,libsqlite3-0,libssl3,zlib1g
case $prefix in "" | /usr | /usr/local) prefix= packages+=,python3,python3-venv ;; esac

# The way to the packages is this machine's: its sources, and its settings of apt.
sources=/etc/apt/sources.list.d/debian.sources
[ -e "$sources" ] || sources=/etc/apt/sources.list
options=()
while read -r option; do options+=("--aptopt=$option"); done < <(apt-config dump Acquire | grep -E '^Acquire::(http|https|Check-|Retries|ForceIPv)[^ ]* "[^"]+";')
mmdebstrap --quiet --mode=root --variant=minbase "${options[@]}" --include="$packages" "$codename" "$work/root" "$sources"
if [ -n "$prefix" ]; then
    cp -a "$prefix/." "$work/root/usr/local/"
    interpreter=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    ln -sf "$interpreter" "$work/root/usr/local/bin/python"
    ln -sf "$interpreter" "$work/root/usr/local/bin/python3"
    find "$work/root/usr/local" -name __pycache__ -type d -prune -exec rm -rf {} +
    rm -rf "$work/root/usr/local/lib/"python3*/site-packages/*
    chroot "$work/root" ldconfig
    chroot "$work/root" "/usr/local/bin/$interpreter" -m ensurepip >/dev/null 2>&1
else
    ln -sf /usr/bin/python3 "$work/root/usr/local/bin/python"
fi
# Behind a proxy with a certificate of its own, pip needs the authorities of this machine.
cp -L /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
tar -C "$work/root" -cf "$work/root.tar" .

container=$(buildah from scratch)
buildah add --quiet "$container" "$work/root.tar" / >/dev/null
buildah config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
buildah commit --quiet "$container" "$name:$version-slim-$codename" >/dev/null
buildah run --isolation chroot --network host "$container" -- sh -c \
    'apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev zlib1g-dev >/dev/null'
buildah config --env PIP_CERT=/etc/ssl/certs/ca-certificates.crt "$container"
buildah commit --quiet "$container" "$name:$version-$codename" >/dev/null
