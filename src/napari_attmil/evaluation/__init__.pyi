from .cross_validation import (
    Evaluation as Evaluation,
    EvaluationProgress as EvaluationProgress,
    cross_validate as cross_validate,
)
from .report import write_report as write_report
from .settings import EvaluationSettings as EvaluationSettings
from .tables import markdown as markdown
