from .augmentation import LabelledImage as LabelledImage
from .finetuning import FinetuneProgress as FinetuneProgress, finetune as finetune
from .gate import (
    WEIGHTS_IN_WORDS as WEIGHTS_IN_WORDS,
    LookOutcome as LookOutcome,
    outcomes_in_words as outcomes_in_words,
)
from .holdout import (
    FEWEST_IMAGES as FEWEST_IMAGES,
    HoldOut as HoldOut,
    choose_held_out as choose_held_out,
    hold_out_in_words as hold_out_in_words,
)
from .looks import Looks as Looks, looks_of as looks_of, measures as measures
from .reviewed import (
    CLEAR_SCORE as CLEAR_SCORE,
    cells_without_box as cells_without_box,
    image_name as image_name,
    read_labelled_images as read_labelled_images,
    reviewed_image as reviewed_image,
    reviewed_images as reviewed_images,
)
from .study_detectors import (
    DetectorModel as DetectorModel,
    accept_candidate as accept_candidate,
    candidate as candidate,
    candidate_path as candidate_path,
    delete_detector as delete_detector,
    detector_in_use as detector_in_use,
    fitted_detectors as fitted_detectors,
    keep_candidate as keep_candidate,
    training_folder as training_folder,
    use_detector as use_detector,
)
