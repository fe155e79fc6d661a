from bridge.clients import MAX_CLIENTS, MAX_REMEMBERED_BYTES, REMEMBERED_SECONDS, Client, Clients

SOURCE = ("127.0.0.1", 5000)


def client_of(clients: Clients, port: int = 5000, now: float = 0.0) -> Client:
    return clients.find(("127.0.0.1", port), None, now)


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
    clients.begin(client, "a", 0)
    clients.remember(client, "a", [b"answer"], 1.0)
    remembered = clients.recall(client, "a", 1.0 + REMEMBERED_SECONDS)
    assert remembered is not None
    assert remembered.datagrams == [b"answer"]
    assert clients.recall(client, "a", 1.1 + REMEMBERED_SECONDS) is None


def test_a_request_under_way_is_known_however_long_it_takes() -> None:
    clients = Clients()
    client = client_of(clients)
    clients.begin(client, "a", 0)
    answer = clients.recall(client, "a", 100.0)
    assert answer is not None
    assert answer.datagrams is None
    clients.forget(client, "a")
    assert clients.recall(client, "a", 100.0) is None


def test_vanished_clients_are_forgotten_with_their_answers() -> None:
    clients = Clients()
    first = client_of(clients, 1)
    clients.begin(first, "a", 0)
    for port in range(2, MAX_CLIENTS + 2):
        client_of(clients, port)
    clients.remember(first, "a", [b"too late"], 1.0)
    assert client_of(clients, 1) is not first
    assert clients._remembered_bytes == 0


def test_answers_are_bounded_in_bytes() -> None:
    clients = Clients()
    client = client_of(clients)
    for number in range(100):
        clients.begin(client, number, 0)
        clients.remember(client, number, [bytes(MAX_REMEMBERED_BYTES // 10)], 0.0)
        assert clients._remembered_bytes <= MAX_REMEMBERED_BYTES
    assert clients.recall(client, 99, 0.0) is not None
    for number in range(100):
        clients.forget(client, number)
    assert clients._remembered_bytes == 0


def test_a_flood_of_requests_is_not_gone_through_each_time() -> None:
    clients = Clients()
    client = client_of(clients)
    for number in range(20_000):  # with every answer looked at each time this takes a minute
        clients.begin(client, number, 0)
        clients.remember(client, number, [b"x"], 0.0)
    assert clients._remembered_bytes <= MAX_REMEMBERED_BYTES
