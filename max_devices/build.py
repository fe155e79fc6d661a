"""Devices and their code become the files that Live loads: python -m max_devices.build. The same bytes each time.

What every device shares and what is its own are joined to one js inside each frozen file.
"""

import json
from pathlib import Path

from max_devices.amxd import Amxd, File, write
from max_devices.devices import DEVICES, Device
from max_devices.picture import draw

HOME = Path(__file__).parent
CODE, BUILT, PICTURES = HOME / "code", HOME / "built", HOME / "pictures"
SHARED = ("osc.js", "live.js", "face.js")


def join(device: Device, code: Path = CODE) -> bytes:
    """The one js of a device: what is shared, then what is its own."""
    sources = [(code / name).read_text(encoding="utf-8") for name in (*SHARED, device.code)]
    return "\n".join(sources).encode()


def freeze(device: Device, code: Path = CODE) -> bytes:
    """A device with its js inside."""
    patcher = json.dumps(device.patcher().to_json(), indent="\t", ensure_ascii=False)
    return write(Amxd(device.kind, patcher, device.file, (File(device.script, join(device, code)),)))


def build(built: Path = BUILT, pictures: Path = PICTURES) -> list[Path]:
    """Write every device and its picture; the files of the devices."""
    for folder in (built, pictures):
        folder.mkdir(parents=True, exist_ok=True)
    for device in DEVICES:
        (built / device.file).write_bytes(freeze(device))
        (pictures / f"{device.name}.svg").write_text(
            draw(device.patcher(), device.name), encoding="utf-8", newline="\n"
        )
    return [built / device.file for device in DEVICES]


if __name__ == "__main__":
    build()
