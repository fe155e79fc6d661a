import pytest

from engine.clip import Clip
from engine.errors import ClipError
from engine.requests import (
    VERBS,
    Decode,
    Drumify,
    Encode,
    Groove,
    Humanize,
    Interpolate,
    Keeping,
    Sample,
    clips_of,
    request_about,
    verb_of,
)

CLIP, FEEL = Clip((), 4.0), Clip((), 2.0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Humanize(clip=CLIP, timing=1.5), "timing must be in 0..1, not 1.5"),
        (lambda: Humanize(clip=CLIP, temperature=float("nan")), "temperature must be in 0..2, not nan"),
        (lambda: Groove(clip=CLIP, feel=CLIP, velocity=-0.1), "velocity must be in 0..1, not -0.1"),
        (lambda: Humanize(clip=CLIP, accents=2), "accents must be in 0..1, not 2"),
        (
            lambda: Humanize(clip=CLIP, of_drum=(("timing.snare", 2.0),)),
            "timing.snare must be in 0..1, not 2.0",
        ),
        (
            lambda: Humanize(clip=CLIP, of_drum=(("timing.cowbell", 1.0),)),
            "there is no timing.cowbell: of drums there are kick, snare, closed_hat, open_hat, low_tom, mid_tom, "
            "high_tom, crash, ride",
        ),
        (lambda: Groove(clip=CLIP, feel=CLIP, of_drum=(("accents.kick", 1.0),)), "there is no accents.kick"),
        (lambda: Sample(bars=0), "bars must be in 1..64, not 0"),
        (lambda: Sample(seed=2**24), "seed must be in 0..16777215, not 16777216"),
        (lambda: Interpolate(clips=(CLIP, CLIP), steps=1), "steps must be in 2..32, not 1"),
        (lambda: Encode(clip=CLIP, count=2), "count must be in 1..1, not 2"),
        (lambda: Decode(z=(0.0, float("inf"))), "z must be finite numbers"),
        (lambda: Interpolate(clips=(CLIP,)), "interpolate takes 2 or 4 clips, not 1"),
        (lambda: Interpolate(clips=(CLIP, CLIP), steps=3, position=0.5), "steps or position, not both"),
        (lambda: Interpolate(clips=(CLIP, CLIP), steps=3, count=2), "count goes with position"),
        (lambda: Interpolate(clips=(CLIP, CLIP), position=0, position2=0), "position2 goes with four clips"),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name(make, sentence):
    with pytest.raises(ClipError, match=sentence.replace(".", r"\.")):
        make()


def test_a_setting_without_a_value_is_left_open():
    assert Drumify(clip=CLIP).bars is None


def test_every_setting_of_every_verb_says_what_it_is_for():
    for request in VERBS.values():
        for field in request.__dataclass_fields__.values():
            about = ("clip", "clips", "feel", "keep_clip", "of_drum", "z")
            assert field.name in about or field.metadata["text"]


def test_an_interpolation_goes_from_the_first_clip_to_the_last():
    assert [x for x, _ in Interpolate(clips=(CLIP, CLIP), steps=3).points] == [0, 0.5, 1]


def test_a_request_is_named_by_its_own_verb():
    assert [verb_of(Humanize(clip=CLIP)), verb_of(Groove(clip=CLIP, feel=CLIP))] == ["humanize", "groove"]


def test_a_drum_that_is_not_named_has_the_common_value():
    request = Humanize(clip=CLIP, timing=0.3, of_drum=(("timing.snare", 0.5), ("velocity.kick", 0.0)))
    assert request.of_drums("timing") == (0.3, 0.5, *[0.3] * 7)
    assert request.of_drums("velocity") == (0.0, *[1.0] * 8)


def test_what_is_played_as_taps_has_no_drums():
    assert Humanize(clip=CLIP, of_drum=(("timing.snare", 0.5),)).of_drums("timing", as_taps=True) == (1.0,) * 9


def test_clips_that_may_be_left_out_come_last():
    kept = Clip((), 8.0)
    assert request_about(Groove, [CLIP, FEEL]) == Groove(clip=CLIP, feel=FEEL)
    assert request_about(Groove, [CLIP, FEEL, kept]) == Groove(clip=CLIP, feel=FEEL, keep_clip=kept)
    assert clips_of(Groove(clip=CLIP, feel=FEEL, keep_clip=kept)) == (CLIP, FEEL, kept)


@pytest.mark.parametrize("verb", ["humanize", "groove", "vary", "infill"])
def test_what_stays_is_told_the_same_way_by_every_verb_that_keeps(verb):
    assert issubclass(VERBS[verb], Keeping)
