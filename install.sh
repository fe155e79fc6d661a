#!/bin/sh
# Installs vaebridge for this user, with a Python of its own: no compiler, no administrator, on Linux no CUDA unless
# there is a GPU for it. Another source than PyPI is an argument: sh install.sh ./vaebridge-0.1.0-py3-none-any.whl
# Needs curl where uv (https://docs.astral.sh/uv) is not there yet. Once more updates it; `vaebridge uninstall` says
# how it goes again.
set -eu
source=${1:-vaebridge}
fail() { echo "install.sh: $1" >&2; exit 1; }
command -v uv >/dev/null || {
  command -v curl >/dev/null || fail "needs curl, or uv (https://docs.astral.sh/uv): install one of them first"
  script=$(curl -LsSf https://astral.sh/uv/install.sh) || fail "https://astral.sh/uv/install.sh could not be fetched"
  echo "$script" | sh
  PATH="${XDG_BIN_HOME:-$HOME/.local/bin}:$PATH"
  command -v uv >/dev/null || fail "uv was installed, but is not found: open a new terminal and try again"
}
uv tool install --upgrade --force --python "${VAEBRIDGE_PYTHON:-3.12}" --torch-backend auto "${source}[page]"
uv tool update-shell >/dev/null 2>&1 || true
"$(uv tool dir --bin)/vaebridge" doctor || echo "install.sh: see above what doctor says"
echo "Now open a new terminal and type: vaebridge serve --page"
