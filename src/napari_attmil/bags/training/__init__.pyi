from .answered import told_classes as told_classes
from .ensemble import (
    EnsembleProgress as EnsembleProgress,
    EnsembleTrainer as EnsembleTrainer,
)
from .plan import Plan as Plan
from .planned_trainings import (
    asks_composition as asks_composition,
    most_epochs as most_epochs,
)
from .resident_features import loaded_bags as loaded_bags
from .trainer import EpochProgress as EpochProgress, Trainer as Trainer
from .training_state import TRAINING_VERSION as TRAINING_VERSION
