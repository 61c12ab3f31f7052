from .boxes import (
    OddBoxOfStudy as OddBoxOfStudy,
    WaitingImage as WaitingImage,
    annotations_of as annotations_of,
    check_something_imported as check_something_imported,
    class_words as class_words,
    ids as ids,
    labels_of_image as labels_of_image,
    merge_studies as merge_studies,
    odd_boxes_of as odd_boxes_of,
    plan_boxes_export as plan_boxes_export,
    planned_export as planned_export,
    waiting_images as waiting_images,
)
from .cell import (
    AskedCell as AskedCell,
    CellReader as CellReader,
    asked_cell as asked_cell,
    look_at_cell as look_at_cell,
)
from .classify import (
    ClassifiedSample as ClassifiedSample,
    classify_sample as classify_sample,
    classify_study as classify_study,
    load_classifier as load_classifier,
    report_samples as report_samples,
)
from .demo import DemoResult as DemoResult, run_demo as run_demo
from .detect import (
    Detection as Detection,
    Images as Images,
    check_region as check_region,
    detect_cells as detect_cells,
    guess_in_words as guess_in_words,
    is_worth_a_plan as is_worth_a_plan,
    plan_cells as plan_cells,
    region_of as region_of,
    samples_with_region as samples_with_region,
)
from .detect_many import (
    ToSearch as ToSearch,
    detect_samples as detect_samples,
    detect_study as detect_study,
)
from .evaluate import (
    evaluate_study as evaluate_study,
    evaluation_folder as evaluation_folder,
)
from .finetune import (
    CheckedImage as CheckedImage,
    Differences as Differences,
    check_reviewed as check_reviewed,
    compare_detectors as compare_detectors,
    finetune_images as finetune_images,
    finetune_study as finetune_study,
)
from .measure import (
    Measured as Measured,
    Removal as Removal,
    map_cells as map_cells,
    measure_cells as measure_cells,
    prepare_removal as prepare_removal,
)
from .outputs import check_outputs as check_outputs
from .prepare import (
    CellsAtHand as CellsAtHand,
    bag_of_sample as bag_of_sample,
    prepare_bags as prepare_bags,
)
from .questions import (
    ask_study as ask_study,
    cell_asked_about as cell_asked_about,
    check_something_to_ask as check_something_to_ask,
    keep_answers as keep_answers,
)
from .sample_table import SampleTable as SampleTable, write_sample_table as write_sample_table
from .shape_study import StudyShapes as StudyShapes, shapes_of_study as shapes_of_study
from .steps import (
    NEVER as NEVER,
    Progress as Progress,
    Stage as Stage,
    on_cluster as on_cluster,
)
from .study import (
    NOT_GIVEN as NOT_GIVEN,
    Study as Study,
    detector_around as detector_around,
    loaded_detector as loaded_detector,
    open_cohort as open_cohort,
    opening_cohort as opening_cohort,
    opening_samples as opening_samples,
    own_folder as own_folder,
)
from .study_state import (
    RecentStudy as RecentStudy,
    Results as Results,
    StudyState as StudyState,
    forget_recent as forget_recent,
    note_recent as note_recent,
    read_planes as read_planes,
    read_prior as read_prior,
    read_results as read_results,
    read_state as read_state,
    recent_studies as recent_studies,
    write_planes as write_planes,
    write_prior as write_prior,
    write_results as write_results,
    write_state as write_state,
)
from .train import (
    Renamed as Renamed,
    Training as Training,
    Update as Update,
    train_classifier as train_classifier,
    unfinished_trainings as unfinished_trainings,
    update_classifier as update_classifier,
)
