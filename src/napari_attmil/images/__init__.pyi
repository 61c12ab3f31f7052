from .cohort import (
    Cohort as Cohort,
    Frame as Frame,
    Sample as Sample,
    check_trainable as check_trainable,
    common_pixel_size_um as common_pixel_size_um,
    reference_class as reference_class,
)
from .crops import crop_cell as crop_cell, shrink as shrink, to_uint8 as to_uint8
from .folders import name_within as name_within
from .folds import Fold as Fold, patient_folds as patient_folds
from .reading import (
    COHORT_CSV as COHORT_CSV,
    ImageSequence as ImageSequence,
    frame_digest as frame_digest,
    open_cohort as open_cohort,
    open_frames as open_frames,
    open_sample as open_sample,
    open_samples as open_samples,
    read_frame as read_frame,
    read_images as read_images,
)
from .text_tables import (
    decoded_text as decoded_text,
    read_text as read_text,
    rows_of_table as rows_of_table,
)
