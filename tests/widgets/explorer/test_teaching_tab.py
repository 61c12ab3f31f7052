from __future__ import annotations

from typing import TYPE_CHECKING

from support.pages.attention_mil import ResultPage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.layers import Image

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget


def test_cells_that_counted_are_hidden_while_a_student_answers(
    panel: AttentionMILWidget,
    stack: Image,
    wait_idle: Callable[[AttentionMILWidget], None],
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"fake")
    panel.cells_step.detect()
    wait_idle(panel)
    panel.classifier_step.load(path)
    wait_idle(panel)
    panel.result_step.classify()
    wait_idle(panel)
    result, exploration = ResultPage(panel.result_step), panel.context.exploration
    assert result.shows_result()
    exploration.set_blind(True)
    assert not result.shows_result()
    exploration.set_blind(False)
    assert result.shows_result() and len(result.top_cells()) == 8
