#!/usr/bin/env bash
# Tool: sglang-kt 0.7.2 with the kt-kernel 0.7.2, transformers-kt 5.6.0.post6 and accelerate-kt
#   1.14.0.post4 that it pins
# Surprise: `pip install sglang-kt==0.7.2` brings an engine whose compiled kernels cannot be loaded on
#   any machine. kt-kernel's sgl_kernel joins its library from parts in five wheels at the first
#   import (one of Hopper's own is whole in a wheel). One of the five, and that of Hopper, is in the
#   wheel of ktransformers, which no metadata of the others require. sgl_kernel drops the error that
#   names the missing part and says that no library matches the GPU. Install ktransformers==0.7.2
#   beside it.
# Seen: none of the four METADATA names ktransformers; four parts are in the four wheels, the fifth is
#   in that of ktransformers; the only whole build is sm90, also there.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" download -q --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: --python-version=3.12 \
  --platform=manylinux_2_35_x86_64 --dest="$folder/wheels" sglang-kt==0.7.2 kt-kernel==0.7.2 \
  transformers-kt==5.6.0.post6 accelerate-kt==1.14.0.post4 ktransformers==0.7.2
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import ast
import re
import sys
import zipfile
from pathlib import Path

folder = Path(sys.argv[1])
asked = set()
names = {}
for path in sorted((folder / "wheels").glob("*.whl")):
    with zipfile.ZipFile(path) as wheel:
        names[path.name.partition("-")[0]] = set(wheel.namelist())
        metadata = next(name for name in wheel.namelist() if name.endswith("/METADATA"))
        if not path.name.startswith("ktransformers-"):
            lines = wheel.read(metadata).decode().splitlines()
            wanted = [line[15:] for line in lines if line.startswith("Requires-Dist: ")]
            asked |= {re.split(r"[^\w-]", one)[0] for one in wanted if "extra ==" not in one}
        if path.name.startswith("kt_kernel-"):
            manifest = wheel.read("sgl_kernel/_payload_manifest.py").decode()
            drops = "except (ImportError, FileNotFoundError):" in wheel.read(
                "sgl_kernel/load_utils.py"
            ).decode()
parts = next(
    ast.literal_eval(node.value)
    for node in ast.parse(manifest).body
    if isinstance(node, ast.Assign) and node.targets[0].id == "PAYLOAD_MODULES"
)
missing = []
for part in parts:
    owner = [name for name, files in names.items() if f"{part}/payload.part" in files]
    is_there = any(name.replace("_", "-") in {*asked, "sglang-kt"} for name in owner)
    print(f"{part}: in {' and '.join(owner)}, which is {'' if is_there else 'NOT '}required")
    missing += [] if is_there else [part]
whole = sorted(
    f"{file} in {name}"
    for name, files in names.items()
    for file in files
    if file.startswith("sgl_kernel/sm") and "common_ops" in file
)
print(f"whole builds: {', '.join(whole) or 'none'}; the error of a missing part is dropped: {drops}")
if missing != ["ktransformers_sgl_kernel_payload"] or not drops:
    sys.exit(f"changed: missing {missing}, dropped {drops}")
if whole != ["sgl_kernel/sm90/common_ops.abi3.so in ktransformers"]:
    sys.exit(f"changed: whole builds {whole}")
PYTHON
