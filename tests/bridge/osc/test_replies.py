from hypothesis import given
from hypothesis import strategies as st

from bridge.osc.replies import count_clip, count_latent, format_clip, format_latent
from engine.clip import Clip, Note, Part


def clip(notes: int, parts: int) -> Clip:
    names = tuple(
        Part(f"p{index}", 1, 0, 0 if index == 0 else notes, notes if index == 0 else 0) for index in range(parts)
    )
    return Clip(tuple(Note(36, index / 4, 0.25, 100) for index in range(notes)), 1024.0, parts=names)


@given(
    st.sampled_from([0, 1, 47, 48, 49, 96, 300]),
    st.integers(0, 3),
    st.integers(0, 320),
    st.one_of(st.none(), st.integers(0, 320)),
)
def test_as_many_datagrams_are_written_as_are_counted(
    notes: int, parts: int, first: int, count: int | None
) -> None:
    written = list(format_clip(1, 0, clip(notes, parts), first, count))
    assert len(written) == count_clip(notes, parts, first, count)


@given(st.integers(0, 1000))
def test_as_many_datagrams_of_a_point_are_written_as_are_counted(size: int) -> None:
    assert len(list(format_latent(1, (0.5,) * size))) == count_latent((0.5,) * size)
