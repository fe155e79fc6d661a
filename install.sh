#!/bin/sh
# Installs vaebridge for this user, with a Python of its own: no compiler, no administrator, on Linux no CUDA unless
# there is a GPU for it. Another source than PyPI is an argument: sh install.sh ./vaebridge-0.1.0-py3-none-any.whl
# Needs curl where uv (https://docs.astral.sh/uv) is not there yet. Once more updates it; `vaebridge uninstall` says
# how it goes again.
set -eu
source=${1:-vaebridge}
command -v uv >/dev/null || {
  curl -LsSf https://astral.sh/uv/install.sh | sh
  PATH="$HOME/.local/bin:$PATH"
}
uv tool install --upgrade --force --python "${VAEBRIDGE_PYTHON:-3.12}" --torch-backend auto "${source}[page]"
uv tool update-shell >/dev/null 2>&1 || true
"$(uv tool dir --bin)/vaebridge" doctor
echo "Now open a new terminal and type: vaebridge serve --page"
