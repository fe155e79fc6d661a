"""Devices and their code become the files that Live loads: python -m max_devices.build. The same bytes each time.

What every device shares and what is its own are joined to one js inside each frozen file.
"""

import json
from collections.abc import Callable
from pathlib import Path

from max_devices.amxd import Amxd, File
from max_devices.amxd import write as amxd_bytes
from max_devices.devices import DEVICES, Device
from max_devices.patcher import MODIFIED
from max_devices.picture import draw

HOME = Path(__file__).parent
CODE, BUILT, PICTURES = HOME / "code", HOME / "built", HOME / "pictures"
SHARED = (
    "replies.js",
    "osc.js",
    "offer.js",
    "notes.js",
    "live.js",
    "undo.js",
    "band.js",
    "take.js",
    "kept.js",
    "face.js",
)


def join(device: Device, code: Path = CODE) -> bytes:
    """The one js of a device: what is shared, then what is its own."""
    sources = [(code / name).read_text(encoding="utf-8") for name in (*SHARED, device.code)]
    return "\n".join(sources).encode()


def freeze(device: Device, code: Path = CODE) -> bytes:
    """A device with its js inside."""
    patcher = json.dumps(device.patcher().to_json(), indent="\t", ensure_ascii=False)
    script = File(device.script, join(device, code))
    return amxd_bytes(Amxd(device.kind, patcher, device.file, (script,), MODIFIED))


Write = Callable[[Path, bytes], object]


def build(built: Path = BUILT, pictures: Path = PICTURES, write: Write = Path.write_bytes) -> list[Path]:
    """Write every device and its picture; the files of the devices."""
    for folder in (built, pictures):
        folder.mkdir(parents=True, exist_ok=True)
    for device in DEVICES:
        write(built / device.file, freeze(device))
        write(pictures / f"{device.name}.svg", draw(device.patcher(), device.name).encode())
    return [built / device.file for device in DEVICES]


if __name__ == "__main__":
    build()
