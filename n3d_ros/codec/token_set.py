"""TokenSet: the tokens that may stand at one place of a text."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from n3d_ros.errors import InputError


class TokenSet:
    """Some tokens of a vocabulary. Immutable and compared by identity, so that backends may keep a mask of it.

    Args:
        ids: token ids, at least one, each 0 or more.

    Raises:
        InputError: no id, or one below 0.
    """

    __slots__ = ("__weakref__", "_members", "ids")

    ids: NDArray[np.int64]
    """(K,) int64, ascending, read-only."""

    def __init__(self, ids: Iterable[int]) -> None:
        members = frozenset(int(token) for token in ids)
        if not members or min(members) < 0:
            raise InputError(f"TokenSet: expected at least one token id, each 0 or more, got {sorted(members)[:5]}.")
        self._members = members
        self.ids = np.array(sorted(members), dtype=np.int64)
        self.ids.flags.writeable = False

    def __contains__(self, token: int) -> bool:
        return token in self._members

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        head = ", ".join(str(token) for token in self.ids[:8])
        return f"TokenSet({head}{', ...' if len(self) > 8 else ''}; {len(self)})"
