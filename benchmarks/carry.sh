#!/bin/sh
# Gathers in DIR what a machine without a network needs for accelerator.py, at most 64 MB:
#
#   benchmarks/carry.sh DIR [PACKAGE ...]
#
# DIR/tree is the last commit. DIR/wheels has the packages that are named, by default PyAV, with which
# the part `speaking` also measures the encoder; they are for Python 3.12 on x86-64. There,
# `sh DIR/run.sh` takes accelerator.py's flags.
set -eu
[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
dir=$1
shift
[ $# -gt 0 ] || set -- av==18.1.0
[ ! -e "$dir" ] || { echo "error: $dir is there already: name a new folder" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)

mkdir -p "$dir/tree" "$dir/wheels"
git -C "$root" archive HEAD | tar -x -C "$dir/tree"
platforms=
for glibc in 39 34 31 28 27 24 17; do
    platforms="$platforms --platform=manylinux_2_${glibc}_x86_64"
done
# shellcheck disable=SC2086
"${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps \
    --only-binary=:all: --python-version=3.12 --implementation=cp $platforms \
    --platform=manylinux2014_x86_64 --dest="$dir/wheels" "$@"
cat > "$dir/run.sh" <<'RUN'
#!/bin/sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
site=$(mktemp -d)
python3 -m pip install --quiet --no-index --no-deps --no-compile --target="$site" "$here"/wheels/*.whl
PYTHONPATH="$site" exec python3 "$here/tree/benchmarks/accelerator.py" "$@"
RUN
size=$(du -sm "$dir" | cut -f1)
[ "$size" -le 64 ] || { echo "error: $dir has $size MB, over 64: name fewer packages" >&2; exit 1; }
echo "$dir: $size MB; there: sh $dir/run.sh"
