from .confusion_view import ConfusionView as ConfusionView
from .glossary import glossary_button as glossary_button
from .layouts import STRETCH as STRETCH, column as column, form as form, row as row
from .listening import (
    Listening as Listening,
    stop_listening_within as stop_listening_within,
)
from .loss_curve import LossCurve as LossCurve
from .message_bar import MessageBar as MessageBar
from .messages import (
    Action as Action,
    Message as Message,
    MessageBoard as MessageBoard,
    Severity as Severity,
    begin as begin,
    board_of as board_of,
    copy_text as copy_text,
    errors_shown as errors_shown,
    opening as opening,
    showing_folder as showing_folder,
    tell as tell,
    tell_error as tell_error,
    to_panel as to_panel,
    untell as untell,
    warn as warn,
)
from .probability_bars import ProbabilityBars as ProbabilityBars
from .progress_row import ProgressRow as ProgressRow, in_words as in_words
from .saving import (
    FIGURES as FIGURES,
    TABLES as TABLES,
    as_file_name as as_file_name,
    ask_for_file as ask_for_file,
    ask_where_to_save as ask_where_to_save,
    endings_of as endings_of,
    study_folder as study_folder,
    with_ending as with_ending,
)
from .settings_form import SettingsForm as SettingsForm
from .step_frame import StepFrame as StepFrame
from .style import (
    ElidedLabel as ElidedLabel,
    SteadyLabel as SteadyLabel,
    elastic as elastic,
    hint_label as hint_label,
    make_narrow as make_narrow,
    narrow_combo as narrow_combo,
    plain_tip as plain_tip,
    primary_button as primary_button,
    push_button as push_button,
    scrolling as scrolling,
    scrolling_column as scrolling_column,
    set_primary as set_primary,
    set_warning as set_warning,
    style_sheet as style_sheet,
    wrapping_label as wrapping_label,
    yielding_column as yielding_column,
)
from .themed_plot import ThemedPlot as ThemedPlot
from .timers import pause_timer as pause_timer
from .workers import TaskRunner as TaskRunner
