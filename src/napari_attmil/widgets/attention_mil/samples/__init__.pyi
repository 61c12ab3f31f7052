from .samples_row import SamplesRow as SamplesRow
