from __future__ import annotations

import numpy as np
import pandas as pd

from napari_attmil.explore.class_curves import class_curves_of

# Of the pairs of an a and a b, three of four are in the right order.
TABLE = pd.DataFrame({"class": ["a", "a", "b", "b"], "probability_a": [0.9, 0.4, 0.6, 0.1]})


def test_area_is_the_share_of_pairs_in_the_right_order() -> None:
    (curve,) = class_curves_of(TABLE)
    false_rate, true_rate, area = curve.roc
    assert area == 0.75 and curve.name == "a"
    np.testing.assert_allclose(np.column_stack([false_rate, true_rate])[-1], [1, 1])


def test_average_precision_is_that_of_the_two_samples() -> None:
    # The first a is found with precision 1, the second with 2 of 3 right.
    (curve,) = class_curves_of(TABLE)
    assert curve.precision_recall[2] == 0.5 * 1 + 0.5 * 2 / 3


def test_what_is_not_known_is_left_out() -> None:
    unknown = pd.DataFrame({"class": ["", "a"], "probability_a": [0.99, np.nan]})
    (curve,) = class_curves_of(pd.concat([TABLE, unknown]))
    assert curve.roc[2] == 0.75


def test_class_without_others_or_without_samples_has_no_curve() -> None:
    assert class_curves_of(TABLE[TABLE["class"] == "a"]) == []
    assert class_curves_of(TABLE.assign(probability_c=0.1))[0].name == "a"
    assert class_curves_of(pd.DataFrame({"class": ["a"]})) == []
