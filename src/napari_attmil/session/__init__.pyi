from .cell_tables import (
    MAKER as MAKER,
    MAP_COLUMNS as MAP_COLUMNS,
    column_title as column_title,
    numeric_columns as numeric_columns,
    text_columns as text_columns,
)
from .exploration import (
    WHOLE_COHORT as WHOLE_COHORT,
    CellKey as CellKey,
    Exploration as Exploration,
)
from .history import History as History
from .history_steps import Move as Move, Step as Step
from .keys import LayerKey as LayerKey, SampleKey as SampleKey, SessionKey as SessionKey
from .predictions import (
    ClassifierLike as ClassifierLike,
    LoadedClassifier as LoadedClassifier,
    takes_prior as takes_prior,
)
from .review_queue import (
    DOUBTFUL_SCORE as DOUBTFUL_SCORE,
    OPEN_STATES as OPEN_STATES,
    QueueEntry as QueueEntry,
    QueueOrder as QueueOrder,
    ReviewPace as ReviewPace,
    ReviewState as ReviewState,
    doubtful_cells as doubtful_cells,
    entries_of as entries_of,
    neighbour as neighbour,
    reviewed_count as reviewed_count,
    sorted_entries as sorted_entries,
)
from .sample_state import UNTOUCHED as UNTOUCHED, SampleState as SampleState
from .session import Session as Session
