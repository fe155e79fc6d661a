"""What a published checkpoint holds, whatever format it came in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """tensors by their published names; facts: the JavaScript format's config.json, or nothing."""

    tensors: Mapping[str, NDArray[np.float32]]
    facts: Mapping[str, Any] = field(default_factory=dict)
