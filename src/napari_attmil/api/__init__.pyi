from .asking import answer as answer, ask as ask
from .plots import (
    plot_cells as plot_cells,
    plot_confusion as plot_confusion,
    plot_losses as plot_losses,
)
from .stages import (
    cell as cell,
    classify as classify,
    detect as detect,
    evaluate as evaluate,
    plan_detection as plan_detection,
    report as report,
    shapes as shapes,
    simulate as simulate,
    train as train,
)
from .study_boxes import (
    agreement as agreement,
    export_boxes as export_boxes,
    finetune as finetune,
    import_boxes as import_boxes,
    merge as merge,
    odd_boxes as odd_boxes,
    queue as queue,
    repair as repair,
    sample_table as sample_table,
)
from .trained_classifier import Classifier as Classifier
