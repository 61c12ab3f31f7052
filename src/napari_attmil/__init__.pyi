from .bags import (
    Bag as Bag,
    Classifier as Classifier,
    FeatureStore as FeatureStore,
    Prediction as Prediction,
    extract_features as extract_features,
)
from .bags.network import AttentionMIL as AttentionMIL
from .bags.training import Trainer as Trainer
from .cells import Boxes as Boxes
from .cells.detection import Detector as Detector
from .core import UserError as UserError, __version__ as __version__, choose_device as choose_device
from .evaluation import cross_validate as cross_validate
from .explore import attention_colours as attention_colours, cell_table as cell_table
from .images import (
    Cohort as Cohort,
    Frame as Frame,
    Sample as Sample,
    crop_cell as crop_cell,
    open_cohort as open_cohort,
    open_sample as open_sample,
    read_images as read_images,
)
from .session import Session as Session
from .simulation import simulate_cohort as simulate_cohort
from .workflows import Study as Study, prepare_bags as prepare_bags
