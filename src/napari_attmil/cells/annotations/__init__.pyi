from .agreement import compared as compared, in_words as in_words
from .annotation_file import FILE_NAME as FILE_NAME, AnnotationFile as AnnotationFile
from .box_checks import odd_boxes as odd_boxes
from .corrections import (
    accept_boxes as accept_boxes,
    add_box as add_box,
    delete_boxes as delete_boxes,
    move_box as move_box,
    with_corrections as with_corrections,
)
from .doubt import doubts as doubts, rank_images as rank_images
from .edits import Annotations as Annotations, Edit as Edit
from .following import follow_shown as follow_shown, rows_caught_up as rows_caught_up
from .lost_boxes import lost_boxes_in_words as lost_boxes_in_words
from .merged_file import SampleMerged as SampleMerged, merge_files as merge_files
from .merging import Conflict as Conflict
