from .demo_result import DemoResult as DemoResult
