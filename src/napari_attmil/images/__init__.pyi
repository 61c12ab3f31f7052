from .cohort import (
    Cohort as Cohort,
    Frame as Frame,
    Sample as Sample,
    check_trainable as check_trainable,
    common_pixel_size_um as common_pixel_size_um,
    name_in_study as name_in_study,
    reference_class as reference_class,
)
from .cohort_csv import COHORT_CSV as COHORT_CSV
from .cohort_table_file import write_cohort_csv as write_cohort_csv
from .crops import (
    crop_cell as crop_cell,
    limits_of as limits_of,
    shrink as shrink,
    to_uint8 as to_uint8,
)
from .folders import is_folder as is_folder, name_within as name_within
from .folds import Fold as Fold, patient_folds as patient_folds
from .formats import (
    LARGE_PX as LARGE_PX,
    LargeImage as LargeImage,
    Level as Level,
    LevelStack as LevelStack,
    open_in_parts as open_in_parts,
)
from .kept_images import KeptImages as KeptImages
from .mask_names import (
    is_mask_name as is_mask_name,
    without_mask_ending as without_mask_ending,
)
from .name_patterns import (
    EXAMPLES as EXAMPLES,
    from_names as from_names,
    guessed_pattern as guessed_pattern,
)
from .plane_choice import (
    DEFAULT_PLANES as DEFAULT_PLANES,
    TIME_CHOICES as TIME_CHOICES,
    Z_CHOICES as Z_CHOICES,
    PlaneChoice as PlaneChoice,
    PlanesInUse as PlanesInUse,
)
from .planes import (
    cohort_with_planes as cohort_with_planes,
    left_out_in_words as left_out_in_words,
    letters_along as letters_along,
    page_between_channels as page_between_channels,
    with_planes as with_planes,
)
from .reading import (
    ImageSequence as ImageSequence,
    find_cohort as find_cohort,
    find_samples as find_samples,
    frame_digest as frame_digest,
    frame_digests as frame_digests,
    open_cohort as open_cohort,
    open_frame as open_frame,
    open_frames as open_frames,
    open_sample as open_sample,
    open_samples as open_samples,
    read_frame as read_frame,
    read_images as read_images,
)
from .sample_rows import (
    FIELDS as FIELDS,
    Field as Field,
    Problem as Problem,
    Rows as Rows,
    SampleRow as SampleRow,
    cells_of_text as cells_of_text,
    filled_down as filled_down,
    merged as merged,
    parted as parted,
    pasted as pasted,
    problems as problems,
    remarks as remarks,
    rows_of as rows_of,
    unlisted_images as unlisted_images,
    with_images as with_images,
    with_values as with_values,
)
from .text_tables import (
    decoded_text as decoded_text,
    read_text as read_text,
    rows_of_table as rows_of_table,
)
from .whole_tables import (
    as_listed as as_listed,
    other_rows as other_rows,
    write_whole_table as write_whole_table,
)
