"""The networks rewritten for inference: equal to float rounding, cheaper to run."""
