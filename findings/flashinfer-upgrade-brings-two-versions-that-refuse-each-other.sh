#!/usr/bin/env bash
# Tool: uv 0.13.9, flashinfer-python 0.6.14 (and 0.7.4, flashinfer-cubin 0.6.13: the newest of 2026-11-26)
# Surprise: flashinfer refuses to be imported beside a flashinfer-cubin of another version, and its
#   guides upgrade both by one command without versions. The index has no flashinfer-cubin after
#   0.6.13, and flashinfer-python does not depend on it, so the command brings two versions that
#   refuse each other, without a warning. Name one version for both.
# Seen: flashinfer-cubin==0.6.13 and flashinfer-python==0.7.4; 0.6.14, the first without a
#   flashinfer-cubin, has the check and does not require the package.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --disable-pip-version-check uv==0.13.9
printf 'flashinfer-python\nflashinfer-cubin\n' > "$folder/both.in"
resolved=$("$folder/venv/bin/uv" pip compile -q --no-config --no-header --no-annotate --no-deps \
  --no-cache --exclude-newer 2026-11-26T00:00:00Z "$folder/both.in")
echo "$resolved"
[ "$resolved" = $'flashinfer-cubin==0.6.13\nflashinfer-python==0.7.4' ] ||
  { echo "changed: other versions"; exit 1; }

"$folder/venv/bin/pip" download -q --no-cache-dir --disable-pip-version-check --no-deps \
  --only-binary=:all: --dest="$folder" flashinfer-python==0.6.14
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
import zipfile
from pathlib import Path

wheel = zipfile.ZipFile(next(Path(sys.argv[1]).glob("flashinfer_python-*.whl")))
source = wheel.read("flashinfer/jit/env.py").decode()
metadata = wheel.read("flashinfer_python-0.6.14.dist-info/METADATA").decode()
refuses = "does not match" in source and "flashinfer-cubin version" in source
required = any(
    line.startswith("Requires-Dist: flashinfer-cubin") for line in metadata.splitlines()
)
print(f"flashinfer 0.6.14 refuses another flashinfer-cubin: {refuses}; requires one: {required}")
if not refuses or required:
    sys.exit(f"changed: refuses {refuses}, requires {required}")
PYTHON
