from bridge.service.recent import MAX_REMEMBERED, REMEMBERED_SECONDS, Recent


def test_what_ended_is_known_for_10_seconds_from_the_last_time() -> None:
    recent: Recent[str, int] = Recent()
    recent.put("a", 1, 0.0)
    recent.put("b", 2, 1.0)
    recent.put("a", 3, 2.0)
    recent.expire(REMEMBERED_SECONDS + 1.5)
    assert (recent.get("a"), recent.get("b"), "b" in recent) == (3, None, False)
    recent.forget("a")
    assert "a" not in recent


def test_the_oldest_give_way_to_more_than_can_be_remembered() -> None:
    recent: Recent[int, None] = Recent()
    for key in range(MAX_REMEMBERED + 1):
        recent.put(key, None, 0.0)
    assert (0 in recent, 1 in recent, MAX_REMEMBERED in recent) == (False, True, True)
