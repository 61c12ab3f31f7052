from .augmentation import LabelledImage as LabelledImage
from .finetuning import FinetuneProgress as FinetuneProgress, finetune as finetune
from .holdout import FEWEST_IMAGES as FEWEST_IMAGES
from .reviewed import (
    image_name as image_name,
    read_labelled_images as read_labelled_images,
    reviewed_images as reviewed_images,
)
from .study_detectors import (
    DetectorModel as DetectorModel,
    accept_candidate as accept_candidate,
    candidate as candidate,
    candidate_path as candidate_path,
    detector_in_use as detector_in_use,
    discard_candidate as discard_candidate,
    fitted_detectors as fitted_detectors,
    training_folder as training_folder,
    use_detector as use_detector,
)
