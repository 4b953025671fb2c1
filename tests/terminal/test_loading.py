"""Loading without the collector."""

import gc

import pytest

from terminal.loading import loading


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_is_left_as_it_was(*, collecting: bool) -> None:
    """Off while modules are loaded; what they made is not looked through any more."""
    before = gc.get_freeze_count()
    try:
        if not collecting:
            gc.disable()
        with pytest.raises(ImportError), loading():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() is collecting
        assert gc.get_freeze_count() > before
    finally:
        gc.enable()
        gc.unfreeze()
