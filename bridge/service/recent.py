"""What ended lately, by key, for messages of it that come late. Bounded in time and number. Pure."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

REMEMBERED_SECONDS = 10.0
MAX_REMEMBERED = 4096

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The values of the last 10 seconds, the oldest first."""

    def __init__(self) -> None:
        self._values: OrderedDict[Key, tuple[float, Value]] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self._values

    def put(self, key: Key, value: Value, now: float) -> None:
        """Keep a value from now on, in place of an older one."""
        self.forget(key)
        self._values[key] = now, value
        if len(self._values) > MAX_REMEMBERED:
            self._values.popitem(last=False)

    def get(self, key: Key) -> Value | None:
        """The value of a key, None if there is none."""
        return self._values[key][1] if key in self._values else None

    def forget(self, key: Key) -> None:
        """Keep no value of this key."""
        self._values.pop(key, None)

    def expire(self, now: float) -> None:
        """Forget what is older than 10 s."""
        while self._values and now - next(iter(self._values.values()))[0] > REMEMBERED_SECONDS:
            self._values.popitem(last=False)
