"""Networks that judge composites without any part in making them: their own architecture, training
and weights. What is asked of a judge is `dgnet.model.evaluation.composites.judged`'s matter.
"""
