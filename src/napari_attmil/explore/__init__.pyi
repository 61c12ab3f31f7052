from .categories import Categories as Categories
from .cell_export import (
    CONTRIBUTION as CONTRIBUTION,
    CORNERS as CORNERS,
    attention_of as attention_of,
    cell_table as cell_table,
    check_table_file as check_table_file,
    contribution_of as contribution_of,
    study_table as study_table,
    write_cells as write_cells,
)
from .cell_rows import (
    EXAMPLE as EXAMPLE,
    Condition as Condition,
    Rows as Rows,
    highest_of_each as highest_of_each,
    ordered as ordered,
    parse_conditions as parse_conditions,
    rows_that_meet as rows_that_meet,
)
from .class_curves import class_curves_of as class_curves_of, curve_points as curve_points
from .cohort_table import (
    PROBABILITY as PROBABILITY,
    WRONG as WRONG,
    confusion as confusion,
    confusion_in_words as confusion_in_words,
    sample_table as sample_table,
)
from .colouring import (
    Colouring as Colouring,
    Distribution as Distribution,
    Spread as Spread,
    attention_colours as attention_colours,
    colours_of_parts as colours_of_parts,
)
from .colours import (
    COLOUR_MAPS as COLOUR_MAPS,
    PERSON_COLOUR as PERSON_COLOUR,
    UNSCORED_COLOUR as UNSCORED_COLOUR,
    ColourMap as ColourMap,
    class_colour as class_colour,
    is_bright as is_bright,
    map_colours as map_colours,
    source_colours as source_colours,
)
from .dots import draw_dots as draw_dots
from .figures import (
    CurveKind as CurveKind,
    class_curves_plot as class_curves_plot,
    forest_plot as forest_plot,
    severity_plot as severity_plot,
)
from .gallery import gallery_plot as gallery_plot
from .noted import (
    NOTE as NOTE,
    OWN as OWN,
    TAG_SEPARATOR as TAG_SEPARATOR,
    TAGS as TAGS,
    note_columns as note_columns,
    notes_of_rows as notes_of_rows,
    own_title as own_title,
)
from .projection import MapMethod as MapMethod, map_of_cells as map_of_cells
from .question_table import (
    CellToAsk as CellToAsk,
    GivenAnswer as GivenAnswer,
    answers_in_words as answers_in_words,
    read_answers as read_answers,
    write_questions as write_questions,
)
from .single_cell import (
    QUANTILES as QUANTILES,
    CellFacts as CellFacts,
    CellMeasure as CellMeasure,
    SimilarCell as SimilarCell,
    cell_facts as cell_facts,
    measures_of as measures_of,
    similar_cells as similar_cells,
)
from .summary import (
    classification_report as classification_report,
    held_out_in_words as held_out_in_words,
    held_out_table as held_out_table,
    in_words as in_words,
    model_origin as model_origin,
    top_cells as top_cells,
)
from .teaching import (
    FILE_NAME as FILE_NAME,
    Agreement as Agreement,
    TeachingRound as TeachingRound,
    expert_of as expert_of,
    keep_round as keep_round,
    now as now,
    read_rounds as read_rounds,
)
from .value_scale import SCALES as SCALES, Scale as Scale
