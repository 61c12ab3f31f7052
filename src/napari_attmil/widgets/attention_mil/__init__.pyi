from .panel import AttentionMILWidget as AttentionMILWidget
