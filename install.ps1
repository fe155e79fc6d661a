# Installs vaebridge for this user, with a Python of its own: no compiler, no administrator.
# In PowerShell: powershell -ExecutionPolicy ByPass -File install.ps1 [vaebridge-0.1.0-py3-none-any.whl]
# Once more updates it; `vaebridge uninstall` says how it goes again.
param([string]$Source = "vaebridge")
$ErrorActionPreference = "Stop"
if (-not (Get-Command uv -ErrorAction SilentlyContinue)) {
    Invoke-RestMethod https://astral.sh/uv/install.ps1 | Invoke-Expression
    $env:Path = "$HOME\.local\bin;$env:Path"
}
$python = if ($env:VAEBRIDGE_PYTHON) { $env:VAEBRIDGE_PYTHON } else { "3.12" }
uv tool install --upgrade --force --python $python --torch-backend auto "${Source}[page]"
if ($LASTEXITCODE) { exit $LASTEXITCODE }
uv tool update-shell
& (Join-Path (uv tool dir --bin) "vaebridge.exe") doctor
Write-Host "Now open a new terminal and type: vaebridge serve --page"
