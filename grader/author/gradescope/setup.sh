#!/usr/bin/env bash
# Builds the container's environment, once for all submissions: a Python, and PyTorch without what only a GPU needs.
set -euo pipefail
root="${A7_AUTOGRADER:-/autograder}"
export DEBIAN_FRONTEND=noninteractive UV_PYTHON_INSTALL_DIR="$root/python" UV_LINK_MODE=copy
apt-get update -qq
apt-get install -y -qq --no-install-recommends python3 python3-pip python3-venv bubblewrap libseccomp2 util-linux
python3 -m venv "$root/tools"
"$root/tools/bin/python" -m pip install -q --disable-pip-version-check uv
uv="$root/tools/bin/uv"
"$uv" venv -q --python '>=3.11,<3.14' "$root/venv"
install() { "$uv" pip install -q --compile-bytecode --python "$root/venv/bin/python" -c "$root/source/constraints.txt" -r "$root/source/requirements.txt" "$@"; }
# uv knows where PyTorch's builds without CUDA lie; where these cannot be had, the usual ones do as well, and take 5 GB
install --torch-backend cpu || install
# another user runs the submission: it has to be able to start this Python
chmod a+x "$root"
chmod -R a+rX "$root/venv" "$root/python" 2>/dev/null || true
"$root/venv/bin/python" -c 'import torch; print("PyTorch", torch.__version__)'
