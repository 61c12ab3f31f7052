#!/usr/bin/env bash
# Every figure of an NVIDIA GPU in one run of under eight minutes, without a network.
#
#   benchmarks/gpu.sh wheels    with a network: packages that images of torch lack, into .whl
#   benchmarks/gpu.sh [OUT]     with the GPU: tests marked `gpu`, then the figures, into OUT
#
# Written for Python 3.12 (FOR=3.11 fetches wheels for another one) and torch 2.11. DEVICE=cpu
# QUICK=1 tries all but the last step where there is no GPU. A step that fails or runs out of its
# time leaves the others as they are; the exit code tells how many did.
set -uo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
DEVICE=${DEVICE:-cuda}
if [ "${1:-}" = wheels ]; then
  fetch() {
    "$PYTHON" -m pip download --only-binary=:all: --python-version "${FOR:-3.12}" \
      --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
      --platform manylinux2014_x86_64 -d .whl "$@"
  }
  fetch pydantic platformdirs && fetch --no-deps imagecodecs
  exit
fi

OUT=${1:-gpu}
mkdir -p "$OUT"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
if [ -d .whl ]; then
  "$PYTHON" -m pip install --quiet --no-index --no-deps --target "$WORK/site" .whl/*.whl
fi
export PYTHONPATH="src:tests:benchmarks:$WORK/site" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

failed=0
step() { # step NAME SECONDS COMMAND...
  local name=$1 limit=$2 start=$SECONDS
  shift 2
  echo "== $name"
  if timeout "$limit" "$@" 2>&1 | tee "$OUT/$name.log"; then
    echo "== $name: $((SECONDS - start)) s"
  else
    echo "== $name FAILED after $((SECONDS - start)) s"
    failed=$((failed + 1))
  fi
}

if [ -n "${QUICK:-}" ]; then
  batches=1,2 repeats=1 images=2 bags=3 epochs=2
else
  batches=1,8,32 repeats=5 images=20 bags=12 epochs=12
fi

command -v nvidia-smi && nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv
step tests 90 "$PYTHON" -m pytest -q -c /dev/null --rootdir . --noconftest \
  -p no:cacheprovider tests/test_gpu.py
step detection 90 "$PYTHON" benchmarks/detection.py --device "$DEVICE" --sides 562 \
  --batches $batches --repeats $repeats --out "$OUT/detection.json"
step features 60 "$PYTHON" benchmarks/features.py --device "$DEVICE" --images $images \
  --repeats $repeats --out "$OUT/features.json"
step presets 90 "$PYTHON" benchmarks/mil_speed.py --device "$DEVICE" --bags $bags \
  --repeats $repeats --epochs $epochs --out "$OUT/presets.json"
[ -n "${QUICK:-}" ] || step paper 120 "$PYTHON" benchmarks/paper_sized_cohort.py --device "$DEVICE" \
  --folder "$WORK/paper" --out "$OUT/paper.json"
echo "== $failed steps failed; $SECONDS s"
exit $failed
