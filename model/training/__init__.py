"""Training of the teacher and joint training of DG-Net."""
