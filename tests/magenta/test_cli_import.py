from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridge.cli import main as cli
from tests.magenta.published import write_published


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [*map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder with a small published melody model."""
    return write_published(tmp_path / "mel_2bar", "melody")


def test_an_imported_checkpoint_is_a_model_from_then_on(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", str(tmp_path))
    result = run("weights", "import", published, "--name", "mine")
    assert result.exit_code == 0, result.output
    assert "mine" in run("weights", "list").output


def test_the_folder_can_be_chosen(published: Path, tmp_path: Path) -> None:
    run("weights", "import", published, "--name", "mine", "--to", tmp_path / "there")
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["mine.safetensors", "mine.toml"]


def test_what_is_imported_is_told(published: Path, tmp_path: Path) -> None:
    told = run("weights", "import", published, "--name", "mine", "--to", tmp_path).output
    assert "2 bars, sample interpolate vary encode decode" in told
    assert "no sigma" in told


def test_a_refusal_is_one_line(published: Path, tmp_path: Path) -> None:
    (published / "group1-shard1of1").write_bytes(b"")
    result = run("weights", "import", published, "--name", "mine", "--to", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("vaebridge: the tensor ")
    assert len(result.stderr.splitlines()) == 1
