"""What the tests of searches start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from assay.tuning import finish, trial


@pytest.fixture(scope="session", autouse=True)
def short_measurements() -> Iterator[None]:
    """Measurements that are long enough to have a speed: how exact it is says nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "SPEED_SECONDS", 0.2)
        patch.setattr(finish, "MOST_SECONDS", 1.0)
        yield
