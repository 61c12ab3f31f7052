from .agreement import (
    agreement_in_words as agreement_in_words,
    compare_annotators as compare_annotators,
)
from .annotation_file import (
    FILE_NAME as FILE_NAME,
    STUDY_DEPTH as STUDY_DEPTH,
    AnnotationFile as AnnotationFile,
    author_name as author_name,
)
from .answers import (
    OF_CLASS as OF_CLASS,
    answer_of as answer_of,
    answers_in as answers_in,
    is_answer as is_answer,
    stamped as stamped,
    with_answers as with_answers,
    without_answer as without_answer,
)
from .box_checks import odd_boxes as odd_boxes
from .corrections import (
    accept_boxes as accept_boxes,
    add_box as add_box,
    delete_boxes as delete_boxes,
    move_box as move_box,
    with_corrections as with_corrections,
)
from .edits import Annotations as Annotations, Edit as Edit, new_uid as new_uid
from .file_merge import SampleMerged as SampleMerged, merge_files as merge_files
from .homes import (
    boxes_beside as boxes_beside,
    file_with_boxes as file_with_boxes,
    frame_of_pixels as frame_of_pixels,
    is_kept_by_pixels as is_kept_by_pixels,
    kept_boxes as kept_boxes,
    note_place as note_place,
    noted_place as noted_place,
    open_study as open_study,
    orphaned_boxes_in_words as orphaned_boxes_in_words,
)
from .layer_edits import (
    edits_in_layer as edits_in_layer,
    rebased_rows as rebased_rows,
    rows_within as rows_within,
)
from .notes import (
    ALTERED as ALTERED,
    CANNOT_TELL as CANNOT_TELL,
    NOT_A_CELL as NOT_A_CELL,
    NOT_ALTERED as NOT_ALTERED,
    READY_TAGS as READY_TAGS,
    SAMPLE as SAMPLE,
    Note as Note,
    Notes as Notes,
    cells_with_tag as cells_with_tag,
    completed_note as completed_note,
    with_notes as with_notes,
)
from .past_edits import PastEdit as PastEdit
from .repair import Repaired as Repaired, repair_file as repair_file
from .three_way_merge import Conflict as Conflict
from .uncertainty import (
    most_uncertain_first as most_uncertain_first,
    uncertainties as uncertainties,
)
