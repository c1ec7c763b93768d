"""Tables by image size: kept, bounded, and never made of tensors that learning cannot use."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra [model] is not installed")

from n3d_ros.depth.network import tables  # noqa: E402
from n3d_ros.depth.network.tables import TableCache, positional_table, uv_table  # noqa: E402


def test_a_table_is_made_once_per_key() -> None:
    cache, made = TableCache(), []

    def make() -> object:
        made.append(1)
        return torch.zeros(3)

    assert cache.get("a", make) is cache.get("a", make)
    cache.get("b", make)
    assert len(made) == 2
    cache.clear()
    cache.get("a", make)
    assert len(made) == 3


def test_the_longest_unused_goes_first_by_number_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = TableCache()
    monkeypatch.setattr(tables, "KEPT", 2)
    first = cache.get("a", lambda: torch.zeros(1))
    cache.get("b", lambda: torch.zeros(1))
    assert cache.get("a", lambda: torch.ones(1)) is first
    cache.get("c", lambda: torch.zeros(1))
    assert cache.get("a", lambda: torch.ones(1)) is first  # b went
    monkeypatch.setattr(tables, "KEPT_BYTES", 100)
    large = cache.get("large", lambda: (torch.zeros(100), torch.zeros(1)))
    assert cache.get("large", lambda: None) is large  # one that is too large alone is kept alone
    assert cache.get("a", lambda: torch.ones(1)) is not first


def test_tables_made_while_looking_serve_learning() -> None:
    cache = TableCache()
    with torch.inference_mode():
        table = cache.get("a", lambda: torch.ones(3))
    assert not table.is_inference()


def test_the_stored_positions_are_used_as_they_are_at_their_own_size() -> None:
    stored = torch.randn(1, 1 + 25, 8)
    assert positional_table(stored, (70, 70)) is stored
    other = positional_table(stored, (70, 84))
    assert other.shape == (1, 1 + 30, 8)
    assert torch.equal(other[:, 0], stored[:, 0])


def test_the_code_of_pixels_is_odd_about_the_centre_and_small() -> None:
    table = uv_table((6, 8), 16, 8 / 6, torch.device("cpu"))[0]
    assert table.abs().max() <= tables.UV_WEIGHT
    sines_x, cosines_x, sines_y, _ = table.chunk(4)
    assert torch.allclose(sines_x, -sines_x.flip(-1), atol=1e-7)
    assert torch.allclose(cosines_x, cosines_x.flip(-1), atol=1e-7)
    assert torch.allclose(sines_y, -sines_y.flip(-2), atol=1e-7)
