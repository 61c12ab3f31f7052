from .appearance import Appearance as Appearance, draw_appearance as draw_appearance
from .cohort import (
    SimulatedImage as SimulatedImage,
    simulate_cohort as simulate_cohort,
    simulate_image as simulate_image,
)
from .settings import (
    CLASSES as CLASSES,
    ClassName as ClassName,
    SimulationSettings as SimulationSettings,
)
from .structures import Structure as Structure
