from .api import (
    Classifier as Classifier,
    agreement as agreement,
    answer as answer,
    ask as ask,
    cell as cell,
    classify as classify,
    detect as detect,
    evaluate as evaluate,
    export_boxes as export_boxes,
    finetune as finetune,
    import_boxes as import_boxes,
    merge as merge,
    odd_boxes as odd_boxes,
    plan_detection as plan_detection,
    plot_cells as plot_cells,
    plot_confusion as plot_confusion,
    plot_losses as plot_losses,
    queue as queue,
    repair as repair,
    report as report,
    sample_table as sample_table,
    shapes as shapes,
    simulate as simulate,
    train as train,
)
from .bags import (
    Bag as Bag,
    EnsembleSettings as EnsembleSettings,
    FeatureStore as FeatureStore,
    MILSettings as MILSettings,
    Prediction as Prediction,
    ensemble_preset as ensemble_preset,
    extract_features as extract_features,
    mil_preset as mil_preset,
)
from .bags.network import AttentionMIL as AttentionMIL
from .bags.training import EnsembleTrainer as EnsembleTrainer, Trainer as Trainer
from .cells import (
    Boxes as Boxes,
    DetectionSettings as DetectionSettings,
    FeatureSettings as FeatureSettings,
    FinetuneSettings as FinetuneSettings,
)
from .cells.detection import Detector as Detector
from .core import (
    Progress as Progress,
    UserError as UserError,
    __version__ as __version__,
    choose_device as choose_device,
    finished as finished,
    open_cluster as open_cluster,
)
from .evaluation import EvaluationSettings as EvaluationSettings, cross_validate as cross_validate
from .explore import attention_colours as attention_colours, cell_table as cell_table
from .explore.shapes import (
    compare_high_cells as compare_high_cells,
    measure_shapes as measure_shapes,
)
from .images import (
    Cohort as Cohort,
    Frame as Frame,
    PlaneChoice as PlaneChoice,
    Sample as Sample,
    crop_cell as crop_cell,
    open_sample as open_sample,
    read_images as read_images,
)
from .session import Session as Session
from .simulation import SimulationSettings as SimulationSettings, simulate_cohort as simulate_cohort
from .workflows import Study as Study, open_cohort as open_cohort, prepare_bags as prepare_bags
