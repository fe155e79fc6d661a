import pytest

from bridge.osc.access import PRIVATE, Guests, is_loopback, read_network


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_always_ask(host: str) -> None:
    assert is_loopback(host)
    assert Guests(()).admits(host)


@pytest.mark.parametrize(
    "host",
    ["10.1.2.3", "172.31.0.1", "192.168.1.5", "169.254.7.7", "fd00::5", "fe80::1%eth0", "::ffff:192.168.1.5"],
)
def test_the_private_ranges_may_ask_unless_others_are_named(host: str) -> None:
    assert not is_loopback(host)
    assert Guests(PRIVATE).admits(host)
    assert not Guests(["203.0.113.0/24"]).admits(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8", "nobody", ""])
def test_others_may_not(host: str) -> None:
    assert not Guests(PRIVATE).admits(host)


def test_one_address_can_be_named() -> None:
    guests = Guests(["203.0.113.7"])
    assert guests.admits("203.0.113.7")
    assert not guests.admits("203.0.113.8")


@pytest.mark.parametrize("text", ["home", "10.0.0.0/99", "1.2.3", "10.0.0.*"])
def test_what_is_no_network_is_named_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 192\.168\.1\.5 or 10\.0\.0\.0/8, not '"):
        read_network(text)
