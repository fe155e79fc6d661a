from itertools import takewhile

from bridge.service.clients import MAX_CLIENTS, MAX_REMEMBERED_BYTES, REMEMBERED_SECONDS, Client, Clients

SOURCE = ("127.0.0.1", 5000)


def client_of(clients: Clients, port: int = 5000, now: float = 0.0) -> Client:
    return clients.find(("127.0.0.1", port), None, now)


def remember(clients: Clients, client: Client, content: bytes, *datagrams: bytes, now: float = 0.0) -> None:
    clients.begin(client, content)
    for datagram in datagrams:
        clients.keep(client, content, datagram)
    clients.end(client, content, now)


def test_the_key_comes_before_hello_before_the_source_port() -> None:
    clients = Clients()
    assert clients.find(SOURCE, None, 0).address == ("127.0.0.1", 5000)
    clients.register(SOURCE, 6000)
    assert clients.find(SOURCE, None, 0).address == ("127.0.0.1", 6000)
    assert clients.find(SOURCE, 7000, 0).address == ("127.0.0.1", 7000)
    assert clients.find(("127.0.0.2", 5000), None, 0).address == ("127.0.0.2", 5000)


def test_an_answer_is_remembered_for_10_seconds() -> None:
    clients = Clients()
    client = client_of(clients)
    remember(clients, client, b"a", b"answer", now=1.0)
    remembered = clients.recall(client, b"a", 1.0 + REMEMBERED_SECONDS)
    assert remembered is not None
    assert (remembered.datagrams, remembered.ended) == ([b"answer"], 1.0)
    assert clients.recall(client, b"a", 1.1 + REMEMBERED_SECONDS) is None


def test_a_request_under_way_is_known_however_long_it_takes() -> None:
    clients = Clients()
    client = client_of(clients)
    clients.begin(client, b"a")
    answer = clients.recall(client, b"a", 100.0)
    assert answer is not None
    assert answer.ended is None
    clients.abandon(client, b"a")
    assert clients.recall(client, b"a", 100.0) is None


def test_vanished_clients_are_forgotten_with_their_answers() -> None:
    clients = Clients()
    first = client_of(clients, 1)
    clients.begin(first, b"a")
    remember(clients, first, b"b", b"answer")
    for port in range(2, MAX_CLIENTS + 2):
        client_of(clients, port)
    remember(clients, first, b"a", b"too late")
    assert client_of(clients, 1) is not first
    assert first.size == 0


def test_a_source_with_many_reply_ports_drives_out_no_other() -> None:
    clients = Clients()
    quiet = client_of(clients, 1)
    remember(clients, quiet, b"a", b"answer")
    loud = [clients.find(SOURCE, port, 0.0) for port in range(2, 2000)]
    assert clients.recall(quiet, b"a", 1.0) is not None
    assert client_of(clients, 1, 1.0) is quiet
    kept = takewhile(lambda each: clients.find(SOURCE, each.address[1], 1.0) is each, reversed(loud))
    assert len(list(kept)) == MAX_CLIENTS - 1


def test_answers_are_bounded_in_bytes() -> None:
    clients = Clients()
    client = client_of(clients)
    for number in range(100):
        remember(clients, client, b"%d" % number, bytes(MAX_REMEMBERED_BYTES // 10))
        assert client.size <= MAX_REMEMBERED_BYTES
    assert clients.recall(client, b"99", 0.0) is not None
    clients.recall(client, b"99", 11.0)
    assert client.size == 0


def test_long_requests_count_as_much_as_long_answers() -> None:
    clients = Clients()
    client = client_of(clients)
    for number in range(200):
        remember(clients, client, bytes(65_000) + b"%d" % number, b"x")
        assert client.size <= MAX_REMEMBERED_BYTES
    assert sum(map(len, client.ended)) <= MAX_REMEMBERED_BYTES


def test_answers_under_way_are_bounded_too_and_one_without_room_is_not_remembered() -> None:
    clients = Clients()
    others = [client_of(clients, port) for port in range(1, 21)]
    for each in others:
        clients.begin(each, b"a")
    kept = [clients.keep(each, b"a", bytes(MAX_REMEMBERED_BYTES // 10)) for each in others]
    assert sum(each.size for each in others) <= MAX_REMEMBERED_BYTES
    assert kept == [True] * 9 + [False] * 11
    assert clients.recall(others[-1], b"a", 0.0) is None


def test_who_has_most_remembered_gives_way() -> None:
    clients = Clients()
    quiet, loud = client_of(clients, 1), client_of(clients, 2)
    remember(clients, quiet, b"a", b"answer")
    for number in range(30_000):
        remember(clients, loud, b"%d" % number, b"x")
    assert clients.recall(quiet, b"a", 0.0) is not None


def test_a_flood_of_requests_is_not_gone_through_each_time() -> None:
    clients = Clients()
    client = client_of(clients)
    for number in range(20_000):  # with every answer looked at each time this takes a minute
        clients.recall(client, b"%d" % number, 0.0)
        remember(clients, client, b"%d" % number, b"x")
    for number in range(20_000):
        clients.recall(client, b"under way %d" % number, 0.0)
        clients.begin(client, b"under way %d" % number)
    assert client.size <= MAX_REMEMBERED_BYTES


def test_a_hello_with_the_own_port_takes_nobodys_place() -> None:
    clients = Clients()
    clients.register(SOURCE, 6000)
    for port in range(7000, 7000 + MAX_CLIENTS):
        clients.register((SOURCE[0], port), port)
    assert clients.find(SOURCE, None, 0.0).address[1] == 6000
    clients.register(SOURCE, SOURCE[1])
    assert clients.find(SOURCE, None, 0.0).address == SOURCE
