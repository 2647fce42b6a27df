#!/usr/bin/env bash
# Everything there is to know about the GPU columns, in one run of under eight minutes and without a network: does it build, is it
# right, does it touch memory that it must not, how fast is it? Each stage has its own time and reports even if others fail.
#
#   tools/gpu_check.sh [primitive]    (default: all)
#
# DEVICE=cpu    the same where there is no GPU: Triton interpreted, CUDA emulated; then no time means anything
# OUT=FOLDER    eight files of results (default: build/gpu); summary.txt is the one to read first
# CARRY=FOLDER  wheels of what this machine lacks (default: carry), 50 MB: transformers has the GPT-2 whose step is timed, Liger
#               is measured where it is there:
#               pip download --dest carry --only-binary :all: --python-version 3.12 transformers    (the version there)
#               pip download --no-deps --dest carry liger-kernel 'setuptools>=77' ninja pybind11
# PYTHON=...    the Python whose torch is used (default: python3)
# STAGES=...    some of them only, such as "build verify"
set -uo pipefail
cd "$(dirname "$0")/.."

device=${DEVICE:-cuda} out=${OUT:-build/gpu} carry=${CARRY:-carry} python=${PYTHON:-python3}
stages=${STAGES:-environment install build verify sanitizers tests bench profile step}
only=("$@") cores=$(nproc) deadline=$((SECONDS + 470)) work=$(mktemp -d)
[[ $device == cuda ]] || deadline=$((SECONDS + 36000)) # interpreted, it takes as long as it takes
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" && rm -f "$out"/{summary.txt,{build,verify,sanitizers,tests,bench,profile}.log,bench.csv}
export PYTHONUNBUFFERED=1 PYTHONPATH=$PWD:$PWD/tests:$PWD/tests/columns OMP_WAIT_POLICY=passive SCRATCHNET_PROFILE=off
[[ $device == cpu ]] && export TRITON_INTERPRET=1 || unset TRITON_INTERPRET

# stage NAME SECONDS FILE COMMAND...: what it says goes to the end of FILE, a line about it into summary.txt.
stage() {
  local name=$1 limit=$2 file=$out/$3 begin=$SECONDS status=0
  shift 3
  [[ " $stages " == *" ${name%% *} "* ]] || return 0
  [[ $(type -t "$1") == function ]] && set -- bash -c "$(declare -f "$1"); $*" # timeout starts programs only
  [[ $device == cuda ]] || limit=3600
  ((limit = deadline - begin < limit ? deadline - begin : limit))
  echo "== $name" >>"$file"
  if ((limit <= 0)); then
    status=124
  else
    timeout --kill-after=5 "$limit" "$@" >>"$file" 2>&1 || status=$?
  fi
  local said="FAILED with $status"
  ((status == 0)) && said=ok
  ((status == 77)) && said=skipped
  ((status == 124 || status == 137)) && said="not finished in $limit s"
  printf '%-24s %-24s %4d s  %s\n' "$name" "$said" $((SECONDS - begin)) "$(basename "$file")" | tee -a "$out/summary.txt"
}
export device python cores work

environment() {
  [[ $device == cpu ]] || nvidia-smi
  for tool in nvcc g++ compute-sanitizer ncu; do command -v $tool && $tool --version | grep -m 1 "[0-9]\.[0-9]"; done
  $python -c 'import platform, torch, triton; print(platform.python_version(), torch.__version__, triton.__version__)'
}

# kernels/ becomes scratchnet.kernels by being installed; what is to be compiled comes next.
install() {
  $python -c 'import scratchnet.kernels' 2>/dev/null ||
    SCRATCHNET_BUILD=0 $python -m pip install --no-index --no-deps --no-build-isolation --editable .
}

build() {
  local cuda=0
  if [[ $device == cuda ]]; then
    cuda=1 # for the GPU that is here alone, and one large file on several cores: its kernels do not depend on one another
    TORCH_CUDA_ARCH_LIST=$($python -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())') || return
    export TORCH_CUDA_ARCH_LIST NVCC_APPEND_FLAGS=--split-compile=0
  fi
  SCRATCHNET_CUDA=$cuda SCRATCHNET_REQUIRE_EXT=1 $python setup.py -q build_ext --inplace || return
  [[ $device == cuda ]] || $python -c 'from cuda_emulation import build; print(build.missing() or build.build(build.LIBRARY))'
  $python -m scratchnet info
}

# Every rung of a column, as options; interpreted, the last one.
rungs() {
  local named="print(*(f'--backend $1:{rung}' for rung in range(1, HIGHEST['$1'] + 1)))"
  if [[ $device == cpu ]]; then echo "--backend $1"; else $python -c "from scratchnet.backends import HIGHEST; $named"; fi
}

# A process for each tool and primitive, as many at a time as there are cores.
sanitizers() {
  local judge=tests/cuda_emulation/judge.py primitives=${*:-$($python -c 'from scratchnet.ops import PRIMITIVES; print(*PRIMITIVES)')}
  if [[ $device == cpu ]]; then
    $python -m pytest --quick tests/kernels/test_cuda.py -k "emulated and (${primitives// / or })"
    return
  fi
  export PYTORCH_NO_CUDA_MEMORY_CACHING=1  # each tensor an allocation of its own: a step beyond it shows
  local column tool primitive
  for column in cuda triton; do
    for tool in memcheck racecheck initcheck; do
      for primitive in $primitives; do
        # initcheck has to see who else writes; to the others, torch's own kernels matter nothing.
        local ours='--kernel-name regex=scratchnet --kernel-name regex=_kernel$'
        [[ $tool == initcheck ]] && ours=
        [[ $tool-$column == initcheck-triton ]] && continue
        echo "compute-sanitizer --tool $tool $ours --error-exitcode 9 --print-limit 20 $python $judge $column $primitive 0 21"
      done
    done
  done | xargs -P "$cores" -I{} bash -c '{} >"$work/$$" 2>&1; s=$?; ((s == 0)) || touch "$work/unclean"; echo "[$s] {}"; cat "$work/$$"'
  [[ ! -e $work/unclean ]]
}

profile() {
  local ncu=()
  [[ $device == cuda ]] && ncu=(ncu --clock-control none --profile-from-start off --section SpeedOfLight
    --section MemoryWorkloadAnalysis --section Occupancy --section WarpStateStats)
  ${ncu[@]+"${ncu[@]}"} $python benchmarks/gpu.py --device $device --once "$@"
}

step() {
  local backend status=0
  $python -c 'import transformers' || return 77
  for backend in $([[ $device == cpu ]] && echo cpp || echo cuda triton); do
    SCRATCHNET_BACKEND=$backend $python benchmarks/models.py GPT-2 --device $device --seconds 2 \
      $([[ $device == cpu ]] && echo --quick) || status=$?
  done
  return $status
}

{
  date
  git log -1 --format='commit %h %s' 2>/dev/null
} >>"$out/summary.txt"
if compgen -G "$carry/*.whl" >/dev/null; then
  if said=$($python -m pip install --quiet --no-index --no-deps --no-compile --target "$work/site" "$carry"/*.whl 2>&1); then
    PYTHONPATH=$work/site:$PYTHONPATH
  else
    echo "none of the wheels in $carry is used: $(grep -m 1 ERROR <<<"$said")" | tee -a "$out/summary.txt"
  fi
fi
stage environment 60 build.log environment
stage install 90 build.log install
stage build 200 build.log build &
# Triton compiles its kernels itself: no need to wait for ours.
stage "verify triton" 160 verify.log nice $python -m scratchnet verify "${only[@]}" --device $device --processes "$cores" \
  $(rungs triton)
wait
[[ $device == cpu ]] || stage "verify cuda" 60 verify.log $python -m scratchnet verify "${only[@]}" --device cuda \
  --processes "$cores" $(rungs cuda)
stage sanitizers 120 sanitizers.log sanitizers "${only[@]}"
stage tests 110 tests.log $python -m pytest -vv --tb=short -n "$cores" --dist worksteal --quick -m 'not slow and not full' tests/kernels \
  --device $device -k "${only[0]:-}"
stage bench 170 bench.log $python benchmarks/gpu.py "${only[@]}" --device $device --csv "$out/bench.csv"
stage profile 45 profile.log profile "${only[@]}"
stage step 50 bench.log step
grep -shE '^(FAIL|FAILED:?|ERROR|\[[1-9][0-9]*\]) ' "$out"/*.log | sort -u | head -n 50 >>"$out/summary.txt"
! grep -qE ' (FAILED with|not finished in) ' "$out/summary.txt"
