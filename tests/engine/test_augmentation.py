import torch

from engine.data.augmentation import a_little_faster, with_other_last_bars, without_some_drums


def generator():
    return torch.Generator().manual_seed(0)


def test_a_drum_is_there_with_all_that_it_played_or_not_at_all():
    groove = torch.rand(50, 32, 27, generator=generator()) + 0.1
    fewer = without_some_drums(groove, 0.3, generator()).view(50, 32, 3, 9)
    kept = (fewer != 0).all(dim=1).all(dim=1)
    assert torch.equal(kept, (fewer != 0).any(dim=1).any(dim=1))
    assert 0.6 < kept.float().mean() < 0.8
    whole = groove.view(50, 32, 3, 9)
    assert torch.equal(fewer, whole * kept[:, None, None].float())


def test_some_windows_go_on_as_another_does():
    groove, other = torch.zeros(500, 32, 27), torch.ones(500, 32, 27)
    joined = with_other_last_bars(groove, other, 0.3, generator())
    assert not joined[:, :16].any()
    assert torch.equal(joined[:, 16:].all(dim=(1, 2)), joined[:, 16:].any(dim=2).any(dim=1))
    assert 0.2 < joined[:, 16:].mean() < 0.4


def test_the_tempo_changes_by_no_more_than_its_spread():
    tempo = a_little_faster(torch.full((500,), 100.0), 0.03, generator())
    assert 97 <= tempo.min() < 98
    assert 102 < tempo.max() <= 103


def test_nothing_changes_where_nothing_is_asked_for():
    groove, tempo = torch.rand(3, 16, 27), torch.full((3,), 90.0)
    assert torch.equal(with_other_last_bars(groove, groove + 1, 0.0, generator()), groove)
    assert torch.equal(without_some_drums(groove, 0.0, generator()), groove)
    assert torch.equal(a_little_faster(tempo, 0.0, generator()), tempo)
