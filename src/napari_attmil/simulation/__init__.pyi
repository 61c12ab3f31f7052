from .appearance import draw_appearance as draw_appearance
from .cohort import (
    CLASSES as CLASSES,
    ClassName as ClassName,
    SimulationProgress as SimulationProgress,
    SimulationSettings as SimulationSettings,
    simulate_cohort as simulate_cohort,
    simulate_image as simulate_image,
)
