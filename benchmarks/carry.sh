#!/bin/sh
# Gathers in DIR what a machine without a network needs for accelerator.py, at most 64 MB:
#
#   benchmarks/carry.sh DIR [PACKAGE ...]
#
# DIR/tree is the last commit, and DIR/wheels the packages that are named, for Python 3.12 on x86-64:
# av==18.1.0, with which the part `speaking` also measures the encoder, has 35 MB. There,
# `sh DIR/run.sh` takes accelerator.py's flags, and the results are in DIR/tree/benchmarks.
set -eu
[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
dir=$1
shift
[ ! -e "$dir" ] || { echo "error: $dir is there already: name a new folder" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)

mkdir -p "$dir/tree" "$dir/wheels"
trap 'rm -rf "$dir"' EXIT # half of it would be taken for all
git -C "$root" archive HEAD | tar -x -C "$dir/tree"
if [ $# -gt 0 ]; then
    platforms=--platform=manylinux2014_x86_64
    for glibc in 39 34 31 28 27 24 17; do
        platforms="$platforms --platform=manylinux_2_${glibc}_x86_64"
    done
    # shellcheck disable=SC2086
    "${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps \
        --only-binary=:all: --python-version=3.12 --implementation=cp $platforms \
        --dest="$dir/wheels" "$@"
fi
cat > "$dir/run.sh" <<'RUN'
#!/bin/sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for wheel in "$here"/wheels/*.whl; do
    [ ! -e "$wheel" ] || python3 -m zipfile -e "$wheel" "$here/site"
done
PYTHONPATH="$here/site" exec python3 "$here/tree/benchmarks/accelerator.py" "$@"
RUN
size=$(du -sm "$dir" | cut -f1)
[ "$size" -le 64 ] || { echo "error: $dir would have $size MB, over 64: name less" >&2; exit 1; }
trap - EXIT
echo "$dir: $size MB; there: sh $dir/run.sh"
