"""What a trained DG-Net is worth: retrieval, composites against their goals, contact sheets."""
