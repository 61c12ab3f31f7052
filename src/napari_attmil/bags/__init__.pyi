from .bag import Bag as Bag, bag_of as bag_of
from .bag_folder import BagFolder as BagFolder
from .certainty import Certainty as Certainty, patients_needed as patients_needed
from .classifier import Classifier as Classifier
from .feature_store import (
    FeatureStore as FeatureStore,
    default_store_folder as default_store_folder,
    expected_size as expected_size,
)
from .features import (
    FeatureReader as FeatureReader,
    drawn_cells as drawn_cells,
    extract_features as extract_features,
    feature_reader as feature_reader,
)
from .held_out import HeldOut as HeldOut, NamedPatient as NamedPatient
from .methods import (
    METHODS as METHODS,
    STRATEGIES as STRATEGIES,
    TABLE_1 as TABLE_1,
    EmbeddingName as EmbeddingName,
    Method as Method,
    Strategy as Strategy,
)
from .metrics import (
    bootstrap_weights as bootstrap_weights,
    confusion_matrix as confusion_matrix,
    precision_at_recall as precision_at_recall,
    ranking_metrics as ranking_metrics,
    reliability as reliability,
    set_metrics as set_metrics,
    surprise as surprise,
    weighted_metrics as weighted_metrics,
)
from .prediction import Prediction as Prediction
from .presets import (
    Preset as Preset,
    ensemble_preset as ensemble_preset,
    mil_preset as mil_preset,
    with_method as with_method,
)
from .prior import (
    are_equal as are_equal,
    checked_prior as checked_prior,
    shares_in_words as shares_in_words,
)
from .questions import (
    JudgedCells as JudgedCells,
    Question as Question,
    cells_to_ask as cells_to_ask,
    checked_strategy as checked_strategy,
)
from .settings import (
    EnsembleSettings as EnsembleSettings,
    MILSettings as MILSettings,
    features_for as features_for,
)
from .truth import read_truth as read_truth
