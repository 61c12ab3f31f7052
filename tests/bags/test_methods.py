from __future__ import annotations

import pytest

from napari_attmil.bags.methods import METHODS, TABLE_1
from napari_attmil.bags.network.pooling import POOLINGS
from napari_attmil.bags.settings import MILSettings
from napari_attmil.core.errors import UserError


def test_every_method_pools_in_a_way_that_there_is() -> None:
    used = {parts.pooling for parts in METHODS.values()}
    assert used == {None, *POOLINGS}
    assert set(TABLE_1) <= set(METHODS)


def test_settings_accept_the_methods_of_the_table_and_no_other() -> None:
    for method in METHODS:
        assert MILSettings.checked(method=method).method == method
    with pytest.raises(UserError):
        MILSettings.checked(method="mil-median")
