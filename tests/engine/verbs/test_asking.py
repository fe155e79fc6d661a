"""Requests that run together: each gets what it gets alone, bit for bit, and fails alone."""

from dataclasses import replace

import pytest
import torch

from engine.asking import MOST, alone, together
from engine.clip import Clip, Note
from engine.errors import ClipError, GpuFailedError, ModelError
from engine.pausing import letting_first
from engine.requests import (
    Decode,
    Drumify,
    Encode,
    Fill,
    Groove,
    Humanize,
    Interpolate,
    LearnStyle,
    Sample,
    Vary,
)
from engine.verbs.generator import Generator
from engine.verbs.resident import GrooveResident
from engine.weights import Library, shipped_folder


@pytest.fixture(scope="module")
def generator():
    generator = Generator(Library([shipped_folder()]), device="cpu")
    generator.load("drummer")
    return generator


def clip(bars, every=1, tempo_bpm=120.0, beats_per_bar=4.0):
    notes = (
        Note((36, 38, 42)[step % 3], step / 4 + 0.02 * (step % 3), 0.2, 60 + step % 50)
        for step in range(0, int(bars * beats_per_bar * 4), every)
    )
    return Clip(tuple(notes), bars * beats_per_bar, beats_per_bar=beats_per_bar, tempo_bpm=tempo_bpm)


def requests():
    one, two, sparse, three_four = clip(1), clip(2), clip(2, 3, 97.0), clip(2, 2, 140.0, 3.0)
    yield Humanize(clip=clip(6), seed=1)
    yield Sample(bars=6, seed=1)
    for seed, each in enumerate((one, two, sparse, three_four, two)):
        yield Humanize(clip=each, seed=seed)
        yield Humanize(clip=each, seed=seed, count=3, temperature=0.5 + seed / 10)
        yield Humanize(clip=each, seed=seed, temperature=0.0)
        yield Humanize(clip=each, seed=seed, late=(0.5,), keep=(36,))
        yield Humanize(clip=each, seed=seed, style="funk")
        yield Groove(clip=each, feel=two, seed=seed)
        yield Drumify(clip=each, seed=seed)
        yield Fill(clip=each, instrument="crash", seed=seed)
        yield Vary(clip=each, seed=seed, count=2)
        yield Vary(clip=each, seed=seed, keep=(42,))
        yield Interpolate(clips=(each, two), seed=seed)
        yield Encode(clip=each)
        yield Sample(seed=seed, bars=2, temperature=0.0)
        yield Sample(seed=seed, bars=1 + seed % 2, count=1 + seed)
        yield Decode(z=(0.1 * seed,) * 128, seed=seed)
        yield Decode(z=(0.1 * seed,) * 128, clip=each, seed=seed)


def told(results):
    assert not isinstance(results, Exception), results
    return replace(results, ms=0.0, seed=0)  # encode draws one, and does not use it


def test_each_gets_what_it_gets_alone(generator):
    asked = list(requests())
    by_itself = [told(generator.run(request)) for request in asked]
    for order in (range(len(asked)), range(len(asked) - 1, -1, -1)):
        places = list(order)
        came = dict(generator.run_together([asked[place] for place in places]))
        assert sorted(came) == list(range(len(places)))
        for index, place in enumerate(places):
            assert told(came[index]) == by_itself[place], asked[place]


def test_a_bad_request_fails_alone(generator):
    good, silent = Humanize(clip=clip(2), seed=1), Clip((), 8.0)
    bad = (Drumify(clip=silent), Sample(model="nobody"), Humanize(clip=clip(2), style="nobody's"))
    came = dict(generator.run_together([good, *bad, good]))
    assert [type(came[place]) for place in (1, 2, 3)] == [ClipError, ModelError, ClipError]
    assert told(came[0]) == told(came[4]) == told(generator.run(good))


def test_they_share_what_they_ask(generator, monkeypatch):
    sizes = []
    decode = GrooveResident.decode

    def counted(self, z, given, **settings):
        sizes.append(len(z))
        return decode(self, z, given, **settings)

    monkeypatch.setattr(GrooveResident, "decode", counted)
    list(generator.run_together([Humanize(clip=clip(2, every), seed=every) for every in (1, 2, 3, 4)]))
    assert sizes == [4]


def test_where_an_answer_to_several_fails_each_is_asked_alone(generator, monkeypatch):
    decode = GrooveResident.decode

    def fails(self, z, given, **settings):
        if len(z) == 3 or float(given.tempo_bpm[0]) == 97.0:
            raise torch.OutOfMemoryError("nothing is left")
        return decode(self, z, given, **settings)

    request, other = Humanize(clip=clip(2), seed=1), Humanize(clip=clip(2, tempo_bpm=97.0), seed=1)
    alone_ = told(generator.run(request))
    monkeypatch.setattr(GrooveResident, "decode", fails)
    came = dict(generator.run_together([request, request, other]))
    assert told(came[0]) == told(came[1]) == alone_
    assert isinstance(came[2], GpuFailedError)


def test_a_style_is_learnt_among_others(generator, tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "own", tmp_path)
    learn = LearnStyle(name="mine", clips=(clip(4),) * 4, sources=("a", "b", "c", "d"))
    came = dict(generator.run_together([Humanize(clip=clip(2), seed=1), learn]))
    assert dict(told(came[1]).facts)["name"] == "mine"


class Number:
    """A question whose answer is itself."""

    def __init__(self, kind, size=1, log=None):
        self.kind, self.size, self.log = kind, size, log

    def answers(self, asks):
        self.log.append([each.size for each in asks])
        return [each.size for each in asks]


def asks(log, *numbers):
    total = 0
    for kind, size in numbers:
        total += yield Number(kind, size, log)
    return total


def test_like_questions_are_answered_together_and_no_more_than_fit():
    log = []
    begin = [lambda: asks(log, ("a", 1), ("b", 2)), lambda: asks(log, ("b", 3)), lambda: asks(log, ("b", MOST))]
    assert dict(together(begin)) == {0: 3, 1: 3, 2: MOST}
    assert log == [[1], [3, 2], [MOST]]


def test_alone_raises():
    def refuses():
        raise ClipError("no")
        yield

    with pytest.raises(ClipError):
        alone(refuses())


@pytest.mark.parametrize(
    ("request_", "looks"),
    [
        (Humanize(clip=clip(64), temperature=0.0), 72),  # three networks, eight windows of each at a time
        (Humanize(clip=clip(16), count=16), 16 * 16 * 16 // 8),
        (Vary(clip=clip(64)), 64 * 16 * 2),
        (Encode(clip=clip(4)), 2),
    ],
)
def test_what_runs_long_looks_often_whether_somebody_is_in_a_hurry(generator, request_, looks):
    seen = []
    with letting_first(lambda: seen.append(1)):
        generator.run(request_)
    assert len(seen) >= looks
