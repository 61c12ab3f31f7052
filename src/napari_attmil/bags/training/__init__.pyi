from .cross_guidance import most_epochs as most_epochs
from .ensemble import EnsembleTrainer as EnsembleTrainer, model_plans as model_plans
from .resident_features import loaded_bags as loaded_bags
from .trainer import EpochProgress as EpochProgress, Trainer as Trainer
from .training_state import TRAINING_VERSION as TRAINING_VERSION
