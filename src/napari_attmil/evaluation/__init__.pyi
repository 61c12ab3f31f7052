from .cross_validation import Evaluation as Evaluation, cross_validate as cross_validate
from .page import in_short as in_short, markdown as markdown
from .report import write_report as write_report
from .rows import epochs_of as epochs_of, evaluation_rows as evaluation_rows
from .settings import EvaluationSettings as EvaluationSettings
