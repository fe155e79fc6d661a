from collections import Counter

import pytest

from bridge.addresses import Address
from bridge.service.busy import gives_way

A, B, C = (("127.0.0.1", port) for port in (1, 2, 3))
SERVED = {A: 3, B: 2, C: 0}


@pytest.mark.parametrize(
    ("held", "newcomer", "loser"),
    [
        ({A: 64}, A, None),
        ({A: 64}, B, A),
        ({A: 40, B: 20}, C, A),
        ({A: 2, B: 1}, B, A),
        ({A: 1, B: 1}, C, A),
        ({B: 1, C: 1}, A, None),
        ({C: 2}, A, C),
        ({B: 1, C: 1}, B, None),
    ],
)
def test_the_client_that_has_most_or_was_served_last_gives_way(
    held: dict[Address, int], newcomer: Address, loser: Address | None
) -> None:
    assert gives_way(Counter(held).elements(), newcomer, lambda client: SERVED[client]) == loser


def test_without_service_only_two_more_give_way() -> None:
    assert gives_way([A], B) is None
    assert gives_way([A, A], B) == A
